from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from memory.entities import entity_key
from memory.extraction.candidates import Claim, Turn
from memory.extraction.rules import extract_facts
from memory.knowledge import Knowledge, LiveFact
from tests.support.knowledge import derive_knowledge
from tests.support.sketches import sketch

START = datetime(2024, 1, 1, tzinfo=UTC)

SAID = (
    "I live in Paris.",
    "I moved to Oslo yesterday.",
    "I don't live in Paris anymore.",
    "I work at Shell.",
    "I quit my job.",
    "Maria works at Siemens.",
    "Maria Lopez visited Oslo last week.",
    "I sold my boat.",
    "I own a boat.",
    "I moved to Rome in 2019.",
)


def told(text, day):
    """The live facts of one text told on a day."""
    number = SAID.index(text) if text in SAID else 0
    facts = extract_facts(Turn(text, START + timedelta(days=day), "Ana"))
    return [
        LiveFact(
            f"{day}-{fact.sentence}-{text}",
            day,
            START + timedelta(days=day),
            fact.occurred,
            fact.claims,
            tuple((name, "person") for name in fact.mentions),
            sketch=sketch(number // 2 + day),
            causes=tuple(f"{day}-0-{other}" for other in SAID[: number % 4]),
        )
        for fact in facts
    ]


def test_every_text_gives_a_fact():
    assert all(told(text, 0) for text in SAID)


@st.composite
def arrivals(draw):
    """The same facts told in any order, with deletes, replacements and restores between."""
    texts = draw(st.lists(st.tuples(st.sampled_from(SAID), st.integers(0, 9)), min_size=1, max_size=8, unique=True))
    facts = {fact.id: fact for text, day in texts for fact in told(text, day)}
    steps = draw(st.lists(st.tuples(st.booleans(), st.sampled_from(sorted(facts))), max_size=20))
    return facts, [*steps, *[(True, identity) for identity in draw(st.permutations(sorted(facts)))]]


def known_of(knowledge):
    return (
        {id_: knowledge.standing(id_) for id_ in knowledge.facts},
        dict(knowledge.chains()),
        dict(knowledge.entities()),
    )


@given(arrivals())
def test_the_same_facts_give_the_same_chains_counts_and_links(arrival):
    facts, steps = arrival
    live = Knowledge()
    for tells, identity in steps:
        before = {id_: live.standing(id_) for id_ in live.facts}
        touched = live.remove(identity)
        if tells:
            touched |= live.add(facts[identity])
        after = {id_: live.standing(id_) for id_ in live.facts}
        changed = {id_ for id_, standing in after.items() if before.get(id_) != standing}
        assert changed <= touched
    assert known_of(live) == known_of(derive_knowledge(facts.values()))


@given(arrivals())
def test_what_is_derived_names_only_what_is_live(arrival):
    facts, _ = arrival
    known = derive_knowledge(facts.values())
    assert all(link.to in facts for id_ in facts for link in known.standing(id_).links)
    for chain in known.chains().values():
        assert set(chain) <= set(facts)
        assert all(validity.superseded_by in {None, *chain} for validity in chain.values())
    assert sum(entity.mentions for entity in known.entities().values()) == sum(
        len(fact.mentions) for fact in facts.values()
    )


def test_a_chain_follows_an_entity_over_its_spellings():
    first, second = told("Maria works at Siemens.", 0)[0], told("MARIA works at Philips.", 9)[0]
    known = derive_knowledge([first, second])
    chain = known.chains()[entity_key("maria"), "employer"]
    assert chain[first.id].superseded_by == second.id


def test_deleting_the_news_opens_the_old_fact_again():
    old, news = told("I live in Paris.", 0)[0], told("I moved to Oslo yesterday.", 9)[0]
    closed = derive_knowledge([old, news]).standing(old.id).validity
    opened = derive_knowledge([old]).standing(old.id).validity
    assert closed is not None
    assert closed.superseded_by == news.id
    assert opened is not None
    assert opened.valid_to is None


def test_a_fact_of_two_slots_holds_while_both_do():
    claims = (Claim("Ana", "partner", "Jo"), Claim("Ana", "relationship status", "engaged"))
    engaged = LiveFact("a", 0, START, None, claims, (("Ana", "person"),))
    married = LiveFact("b", 1, START + timedelta(days=9), None, (Claim("Ana", "relationship status", "married"),))
    validity = derive_knowledge([engaged, married]).standing("a").validity
    assert validity is not None
    assert validity.superseded_by == "b"


def test_a_fact_without_a_slot_has_no_validity():
    assert derive_knowledge([LiveFact("a", 0, START)]).standing("a").validity is None
