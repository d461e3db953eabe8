from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from memory.links import CAUSED_BY, ENTITY, LOOKED_AT, MAX_LINKS, SEMANTIC, TEMPORAL, LinkedFact, LinkIndex
from tests.support.knowledge import derive_links
from tests.support.sketches import sketch

START = datetime(2024, 1, 1, tzinfo=UTC)


def fact(name, hours, *entities):
    return LinkedFact(name, START + timedelta(hours=hours), frozenset(entities))


def linked(links, kind):
    return [link.to for link in links if link.type == kind]


def test_a_fact_is_linked_to_those_within_a_day_before_it_the_nearest_first():
    links = derive_links([fact("a", 0), fact("b", 20), fact("c", 2), fact("d", 30)])
    assert linked(links["b"], TEMPORAL) == ["c", "a"]
    assert linked(links["d"], TEMPORAL) == ["b"]
    assert links["a"] == ()


def test_facts_about_the_same_things_only_are_bound_most():
    links = derive_links(
        [fact("a", 0, "ana", "oslo"), fact("b", 99, "ana"), fact("c", 200, "ana", "oslo"), fact("d", 300)]
    )
    assert linked(links["c"], ENTITY) == ["a", "b"]
    assert links["d"] == ()


def test_of_facts_long_before_none_is_linked():
    facts = [fact(f"f{order:03}", 48 * order, "ana") for order in range(LOOKED_AT + 9)]
    assert set(linked(derive_links(facts)[facts[-1].id], ENTITY)) <= {one.id for one in facts[-LOOKED_AT - 1 : -1]}


def test_a_fact_is_linked_to_those_before_it_that_say_nearly_the_same():
    same, near, far = sketch(0), sketch(1), sketch(4)
    facts = [
        LinkedFact(name, START + timedelta(days=9 * order), frozenset(), code)
        for order, (name, code) in enumerate([("a", same), ("b", far), ("c", near), ("d", same), ("e", "")])
    ]
    links = derive_links(facts)
    assert linked(links["d"], SEMANTIC) == ["a", "c"]
    assert [link.weight for link in links["d"]] == [1.0, 0.9239]
    assert linked(links["c"], SEMANTIC) == ["a"]
    assert links["e"] == links["b"] == ()


def test_vectors_of_two_models_are_not_compared():
    facts = [LinkedFact("a", START, frozenset(), sketch(0)), LinkedFact("b", START, frozenset(), sketch(0, 256))]
    assert linked(derive_links(facts)["b"], SEMANTIC) == []


def test_a_fact_is_linked_to_its_causes_as_long_as_they_are_there():
    index = LinkIndex()
    effect = LinkedFact("effect", START, frozenset(), "", ("cause", "effect"))
    cause = LinkedFact("cause", START + timedelta(days=9), frozenset())
    index.add(effect)
    assert index.links_of("effect") == ()
    index.add(cause)
    assert index.followers_of("cause") == {"effect"}
    assert linked(index.links_of("effect"), CAUSED_BY) == ["cause"]
    index.remove("cause")
    assert index.links_of("effect") == ()


FACTS = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.frozensets(st.sampled_from("abcd"), max_size=3),
        st.sampled_from(["", *map(sketch, range(6))]),
        st.lists(st.integers(0, 39), max_size=6, unique=True),
    ),
    max_size=40,
).map(
    lambda drawn: [
        LinkedFact(f"f{n}", START + timedelta(hours=h), names, code, tuple(f"f{cause}" for cause in causes))
        for n, (h, names, code, causes) in enumerate(drawn)
    ]
)


@given(FACTS, st.randoms(use_true_random=False))
def test_links_are_bounded_weighed_and_free_of_order(facts, random):
    links = derive_links(facts)
    shuffled = [*facts]
    random.shuffle(shuffled)
    assert derive_links(shuffled) == links
    for identity, held in links.items():
        assert len({(link.to, link.type) for link in held}) == len(held)
        assert identity not in {link.to for link in held}
        assert all(0 < link.weight <= 1 for link in held)
        assert all(len(linked(held, kind)) <= MAX_LINKS[kind] for kind in MAX_LINKS)


@given(FACTS.filter(bool), st.randoms(use_true_random=False))
def test_who_follows_a_fact_is_all_whose_links_it_changes(facts, random):
    index = LinkIndex()
    for one in facts:
        index.add(one)
    before = {one.id: index.links_of(one.id) for one in facts}
    gone = random.choice(facts).id
    followers = index.followers_of(gone)
    index.remove(gone)
    changed = {one.id for one in facts if one.id != gone and index.links_of(one.id) != before[one.id]}
    assert changed <= followers


@given(FACTS.filter(bool), st.lists(st.integers(0, 39), max_size=60))
def test_what_comes_and_goes_leaves_the_links_of_what_stays(facts, steps):
    index, held = LinkIndex(), {}
    for step in steps:
        one = facts[step % len(facts)]
        if held.pop(one.id, None):
            index.remove(one.id)
        else:
            held[one.id] = one
            index.add(one)
    assert {id_: index.links_of(id_) for id_ in held} == derive_links(held.values())
