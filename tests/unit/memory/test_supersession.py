from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.supersession import SlotFact, chain_of, normal_value
from memory.timeline import Span

START = datetime(2024, 1, 1, tzinfo=UTC)


def day(number):
    return START + timedelta(days=number)


def state(name, value, told, **more):
    return SlotFact(name, value, day(told), seq=told, **more)


def change(name, value, told, happened):
    return SlotFact(name, value, day(told), told, Span(day(happened), day(happened + 1)), happened=True)


def test_a_new_value_closes_the_old_one():
    chain = chain_of([state("a", "Paris", 1), change("b", "Oslo", 9, happened=5)])
    assert chain["a"].valid_to == day(5)
    assert chain["a"].superseded_by == "b"
    assert chain["b"].valid_from == day(5)
    assert chain["b"].valid_to is None


def test_late_news_of_an_older_change_is_placed_in_its_time():
    chain = chain_of([change("b", "Berlin", 50, happened=40), change("a", "Oslo", 60, happened=10)])
    assert chain["a"].superseded_by == "b"
    assert chain["a"].valid_to == day(40)
    assert chain["b"].valid_to is None


def test_a_state_told_now_outlives_older_news_told_later():
    chain = chain_of([state("a", "Oslo", 50), change("b", "Berlin", 60, happened=10)])
    assert chain["a"].valid_to is None
    assert chain["b"].superseded_by == "a"


def test_a_negation_closes_without_a_replacement():
    chain = chain_of([state("a", "Paris", 1), state("b", "Paris", 5, holds=False)])
    assert chain["a"].superseded_by == "b"
    assert chain["b"].valid_to is None


def test_a_negation_of_another_value_closes_nothing():
    chain = chain_of([state("a", "Paris", 1), state("b", "Madrid", 5, holds=False)])
    assert chain["a"].valid_to is None


def test_a_negation_without_a_value_ends_whatever_held():
    assert chain_of([state("a", "Shell", 1), state("b", None, 5, holds=False)])["a"].superseded_by == "b"


def test_what_was_denied_can_hold_again():
    chain = chain_of([state("a", "yes", 1), state("b", None, 5, holds=False), state("c", "yes", 9)])
    assert (chain["a"].superseded_by, chain["b"].superseded_by, chain["c"].superseded_by) == ("b", "c", None)


def test_repetition_and_detail_close_nothing():
    chain = chain_of([state("a", "Oslo", 1), state("b", "oslo", 2), state("c", "Oslo, Norway", 3)])
    assert all(validity.valid_to is None for validity in chain.values())


def test_a_value_that_may_stand_beside_another_closes_nothing():
    assert chain_of([state("a", "nurse", 1), state("b", "writer", 2, replaces=False)])["a"].valid_to is None


@pytest.mark.parametrize(("one", "other"), [("The Hague", "the hague"), ("a nurse", "Nurse"), ("x@y.org", "X@Y.org")])
def test_values_are_compared_by_what_they_say(one, other):
    assert normal_value(one) == normal_value(other)


SLOT_FACTS = st.builds(
    lambda value, told, happened, holds, replaces, is_change: SlotFact(
        "",
        value,
        day(told),
        told // 3,
        Span(day(happened), day(happened + 1)) if is_change else None,
        holds=holds or value is None,
        replaces=replaces,
        happened=is_change,
    ),
    st.sampled_from(["Oslo", "Paris", "Oslo, Norway", "Rome"]),
    st.integers(0, 12),
    st.integers(-5, 15),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@st.composite
def histories(draw):
    """Facts under their ids, and the same ones told, deleted, replaced and told again in some order."""
    drawn = draw(st.lists(SLOT_FACTS, min_size=1, max_size=8))
    facts = [SlotFact(f"f{n}", *[getattr(fact, name) for name in fact.__slots__[1:]]) for n, fact in enumerate(drawn)]
    steps = draw(st.lists(st.tuples(st.sampled_from(["tell", "delete"]), st.sampled_from(facts)), max_size=25))
    return facts, [*steps, *[("tell", fact) for fact in draw(st.permutations(facts))]]


@given(histories())
def test_any_order_of_arrival_with_deletes_and_restores_gives_the_same_chain(history):
    facts, steps = history
    live: dict[str, SlotFact] = {}
    for action, fact in steps:
        if action == "tell":
            live[fact.id] = fact
        else:
            live.pop(fact.id, None)
        assert chain_of(live.values()) == chain_of(sorted(live.values(), key=lambda held: held.id))
    assert chain_of(live.values()) == chain_of(facts)


@given(histories())
def test_a_chain_is_well_formed(history):
    facts, _ = history
    chain = chain_of(facts)
    assert set(chain) == {fact.id for fact in facts}
    for identity, validity in chain.items():
        assert (validity.valid_to is None) == (validity.superseded_by is None)
        assert validity.superseded_by != identity
        assert validity.valid_to is None or validity.valid_from <= validity.valid_to
    assert any(validity.superseded_by is None for validity in chain.values())
