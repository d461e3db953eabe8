from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.entities import EntityMention, EntityRegister, build_entities, entity_key, normal_name, resolve

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


def test_a_new_name_founds_an_entity():
    assert resolve("Zed", "person", []) == entity_key("Zed")


def test_a_name_is_known_by_its_normal_form_and_its_aliases():
    robert = build_entities([("key", mention("f1", "Robert")), ("key", mention("f2", "Bob"))])
    assert resolve("ROBERT", "person", robert.values()) == "key"
    assert resolve("bob", "person", robert.values()) == "key"


def test_a_misspelling_is_taken_for_the_name_it_is_closest_to():
    entities = register(mention("f1", "Catherine"), mention("f2", "Christopher"))
    assert resolve("Catherine", "person", entities.values()) == entity_key("Catherine")
    assert resolve("Cathrine", "person", entities.values()) == entity_key("Catherine")
    assert resolve("Anna", "person", register(mention("f1", "Anne")).values()) == entity_key("Anna")


def test_numbers_and_types_keep_names_apart():
    entities = register(mention("f1", "Version 12", "concept"), mention("f2", "Jordan", "place"))
    assert resolve("Version 13", "concept", entities.values()) == entity_key("Version 13")
    assert resolve("Jordans", "person", entities.values()) == entity_key("Jordans")


def test_part_of_a_name_needs_company_or_recency_and_both_must_not_be_torn():
    entities = register(
        mention("f1", "Maria Lopez"), mention("f1", "Acme", "organisation"), mention("f2", "Maria Kovacs")
    )
    lopez, acme = entity_key("Maria Lopez"), entity_key("Acme")
    assert resolve("Maria", "person", entities.values()) == entity_key("Maria")
    assert resolve("Maria", "person", entities.values(), beside={acme}) == lopez
    only = register(mention("f1", "Maria Lopez"), mention("f1", "Acme", "organisation"))
    assert resolve("Maria", "person", only.values(), beside={acme}, recent={lopez}) == lopez
    both = {lopez, entity_key("Maria Kovacs")}
    assert resolve("Maria", "person", entities.values(), recent=both) == entity_key("Maria")


def test_a_platform_user_is_one_person_whatever_the_name():
    entities = register(mention("f1", "Ana", user_id="u-7"))
    assert resolve("Anastasia B.", "person", entities.values(), user_id="u-7") == entity_key("Ana")


NAMES = st.sampled_from(["Maria", "Maria Lopez", "Mario", "Catherine", "Cathrine", "Acme", "Acme Inc", "Oslo"])


@given(st.lists(NAMES, min_size=1, max_size=6), NAMES, st.data())
def test_resolution_does_not_depend_on_the_order_of_the_entities(known, name, data):
    entities = list(register(*[mention(f"f{order}", held) for order, held in enumerate(known)]).values())
    recent = data.draw(st.sets(st.sampled_from([entity.key for entity in entities])))
    answers = {
        resolve(name, "person", data.draw(st.permutations(entities)), beside=recent, recent=recent) for _ in range(3)
    }
    assert len(answers) == 1
