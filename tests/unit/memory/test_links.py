from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from memory.links import ENTITY, MAX_LINKS, MAX_SHARED_FACTS, TEMPORAL, LinkedFact, derive_links

START = datetime(2024, 1, 1, tzinfo=UTC)


def fact(name, hours, *entities):
    return LinkedFact(name, START + timedelta(hours=hours), frozenset(entities))


def linked(links, kind):
    return [link.to for link in links if link.type == kind]


def test_facts_within_a_day_are_linked_the_nearest_first():
    links = derive_links([fact("a", 0), fact("b", 20), fact("c", 2), fact("d", 30)])
    assert linked(links["a"], TEMPORAL) == ["c", "b"]
    assert linked(links["d"], TEMPORAL) == ["b"]


def test_a_rare_entity_binds_more_than_a_common_one():
    links = derive_links(
        [fact("a", 0, "ana", "oslo"), fact("b", 99, "ana"), fact("c", 200, "ana", "oslo"), fact("d", 300)]
    )
    assert linked(links["a"], ENTITY) == ["c", "b"]
    assert links["d"] == ()


def test_an_entity_of_nearly_all_facts_links_none():
    facts = [fact(f"f{order}", 48 * order, "ana") for order in range(MAX_SHARED_FACTS + 1)]
    assert not any(derive_links(facts).values())


FACTS = st.lists(st.tuples(st.integers(0, 60), st.frozensets(st.sampled_from("abcd"), max_size=3)), max_size=40).map(
    lambda drawn: [LinkedFact(f"f{n}", START + timedelta(hours=h), names) for n, (h, names) in enumerate(drawn)]
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
        assert all(len(linked(held, kind)) <= MAX_LINKS for kind in (TEMPORAL, ENTITY))
