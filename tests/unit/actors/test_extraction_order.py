"""Any order of arrival of the same facts, with replaces, deletes and restores between, gives the same knowledge."""

import asyncio
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from memory.commands import DeleteDocument, Message
from memory.store_calls import ReadHead
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM
from tests.support.extracting import ExtractingOwner

DAY = datetime(2024, 5, 1, 12, tzinfo=UTC)
SAID = {
    "paris": "I live in Paris.",
    "oslo": "I moved to Oslo yesterday.",
    "left": "I don't live in Paris anymore.",
    "shell": "I work at Shell.",
    "quit": "I quit my job.",
    "maria": "Maria works at Siemens.",
    "visit": "Maria visited Oslo last week.",
    "boat": "I sold my boat.",
}
STEPS = st.lists(st.tuples(st.sampled_from("tdr"), st.sampled_from(sorted(SAID))), max_size=6)


def told(name: str, *, other: bool = False) -> tuple[Message, ...]:
    at = DAY + timedelta(days=sorted(SAID).index(name))
    return (Message("I bought a lamp." if other else SAID[name], role="user", name="Ana", timestamp=at),)


async def lived(names, steps) -> tuple[object, ...]:
    """What a bank knows after the steps, and after all of them have been told in the order of `names`."""
    bank = ExtractingOwner(ReferenceStore(DIM))
    there: set[str] = set()
    for number, (what, name) in enumerate([*steps, *(("t", name) for name in names)]):
        if what == "d" and name in there:
            await bank.bank.perform(DeleteDocument(f"d{number}", name))
            there.discard(name)
        elif what != "d":
            await bank.tell(told(name, other=what == "r"), document_id=name, op=f"o{number}")
            there.add(name)
    for name in there - set(names):
        await bank.bank.perform(DeleteDocument(f"end-{name}", name))
    bank.check()
    by_id = {unit.id: text for text, unit in bank.facts().items()}
    facts = {
        text: (
            (unit.valid_from, unit.valid_to, by_id.get(unit.superseded_by or "")),
            unit.entities,
            sorted((by_id[link.to], link.type, link.weight) for link in unit.links),
        )
        for text, unit in bank.facts().items()
    }
    return facts, bank.read(ReadHead()).counters


@settings(max_examples=12)
@given(st.lists(st.sampled_from(sorted(SAID)), min_size=1, max_size=6, unique=True), STEPS, st.randoms())
def test_the_same_facts_give_the_same_chains_counts_and_links(names, steps, random):
    shuffled = [*names]
    random.shuffle(shuffled)
    straight, wild = asyncio.run(lived(sorted(names), [])), asyncio.run(lived(shuffled, steps))
    assert wild == straight
    assert straight[0]
