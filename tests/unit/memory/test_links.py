from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from memory.links import ENTITY, LOOKED_AT, MAX_LINKS, TEMPORAL, LinkedFact, LinkIndex, derive_links

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
        assert all(len(linked(held, kind)) <= MAX_LINKS[kind] for kind in (TEMPORAL, ENTITY))


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
