from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.entities import EntityMention, EntityRegister, entity_key, normal_name
from tests.support.knowledge import build_entities

START = datetime(2024, 1, 1, tzinfo=UTC)


def mention(fact, name, kind="person", day=0, user_id=None):
    return EntityMention(fact, name, kind, START + timedelta(days=day), user_id)


def register(*mentions):
    return build_entities((entity_key(held.name), held) for held in mentions)


@pytest.mark.parametrize(
    ("one", "other"),
    [("José", "jose"), ("Dr. Weiss", "Weiss"), ("Acme, Inc.", "ACME"), ("Ana's", "Ana"), ("New-York", "new york")],
)
def test_spellings_of_one_name(one, other):
    assert normal_name(one) == normal_name(other)
    assert entity_key(one) == entity_key(other)


def test_a_name_of_punctuation_alone_is_still_a_name():
    assert normal_name("!!!") != normal_name("???")


def test_an_entity_counts_facts_mentions_and_company():
    entities = register(
        mention("f1", "Ana"), mention("f1", "Oslo", "place"), mention("f2", "Ana", day=3), mention("f2", "ana")
    )
    ana, oslo = entities[entity_key("Ana")], entities[entity_key("Oslo")]
    assert (ana.name, ana.aliases, ana.facts, ana.mentions) == ("Ana", ("ana",), 2, 3)
    assert ana.last_mentioned_at == START + timedelta(days=3)
    assert ana.company == {oslo.key: 1}
    assert oslo.company == {ana.key: 1}


MENTIONS = st.lists(
    st.tuples(
        st.sampled_from(["Ana", "Ben", "Oslo", "Acme"]),
        st.builds(
            mention,
            st.sampled_from(["f1", "f2", "f3"]),
            st.sampled_from(["Ana", "ana", "Ben", "B."]),
            day=st.integers(0, 9),
        ),
    ),
    max_size=12,
)


@given(MENTIONS, st.data())
def test_counts_are_exact_under_adding_and_removing_in_any_order(mentions, data):
    shuffled = data.draw(st.permutations(mentions))
    dropped = data.draw(st.sets(st.integers(0, 11)))
    kept = [held for index, held in enumerate(shuffled) if index not in dropped]
    assert build_entities(shuffled) == build_entities(mentions)
    entities = build_entities(kept)
    assert Counter(key for key, _ in kept) == {key: entity.mentions for key, entity in entities.items()}
    for key, entity in entities.items():
        facts = {held.fact_id for other, held in kept if other == key}
        assert entity.facts == len(facts)
        for other, shared in entity.company.items():
            assert shared == len(facts & {held.fact_id for its, held in kept if its == other})
            assert entities[other].company[key] == shared


@given(MENTIONS, MENTIONS, st.data())
def test_a_register_forgets_what_is_removed(kept, removed, data):
    register = EntityRegister()
    steps = data.draw(st.permutations([*[(held, True) for held in kept], *[(held, False) for held in removed]]))
    for (key, held), _ in steps:
        register.add(key, held)
    for (key, held), keep in data.draw(st.permutations(steps)):
        if not keep:
            register.remove(key, held)
            register.entities()
    assert register.entities() == build_entities(kept)


def test_only_what_was_added_can_be_removed():
    register = EntityRegister()
    register.add("k", mention("f1", "Ana"))
    with pytest.raises(KeyError, match="f2"):
        register.remove("k", mention("f2", "Ana"))
    with pytest.raises(KeyError, match="Ben"):
        register.remove("k", mention("f1", "Ben"))
