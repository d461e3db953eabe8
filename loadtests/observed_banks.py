"""Banks whose facts come to observations: what is told, how they are consolidated, and a scan of what came of it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from loadtests.timed_connection import LoadError, TimedConnection, retain_path
from lorebank import Client, LorebankError

PATIENCE_S = 120.0
"""How long a refused request is repeated."""
WITHIN_S = 1800.0
"""How long a bank may take to be extracted or consolidated."""
DOCUMENT_TURNS = 50
PEOPLE = 10
"""That take turns: each says half of it in one document and half in the next."""
PAGE = 1000
_BEGAN = datetime(2025, 5, 1, 10, tzinfo=UTC)
_CITIES = ("Oslo", "Rome", "Lima", "Kyoto", "Quito", "Turin", "Accra", "Bergen")
_JOBS = ("vet", "baker", "nurse", "pilot", "tailor", "potter")
_INSTRUMENTS = ("violin", "cello", "harp", "flute", "oboe")
_FIRST = (
    "Ana",
    "Ben",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Gus",
    "Hana",
    "Ivo",
    "June",
    "Kai",
    "Lea",
    "Milo",
    "Nora",
    "Otis",
)
_SAID = (
    "I live in {city}.",
    "I work as a {job}.",
    "I play the {instrument}.",
    "I bought the box {code} in {city}.",
    "I live in {city} with my dog.",
    "I have a cat named {pet}.",
    "I am a {job}.",
    "I play the {instrument} on Fridays.",
    "I am allergic to {code}.",
    "I live in {city}, near the opera.",
)
"""What each person says, one fact a turn, several of which say the same."""


def turns(facts: int) -> Iterator[dict[str, str]]:
    """Turns of as many facts; what a person says stands in several documents. The same at every call."""
    for number in range(facts):
        block, within = divmod(number, PEOPLE * len(_SAID))
        line, one = divmod(within, PEOPLE)
        person = block * PEOPLE + one
        first = _FIRST[person % len(_FIRST)]
        text = _SAID[line].format(
            city=_CITIES[person % len(_CITIES)],
            job=_JOBS[person % len(_JOBS)],
            instrument=_INSTRUMENTS[person % len(_INSTRUMENTS)],
            code=f"q{person}x",
            pet=f"Pet{person}",
        )
        # Told at times of their own, facts have one order in every bank, and observations the same words.
        at = (_BEGAN + timedelta(minutes=number)).isoformat()
        yield {"role": "user", "name": f"{first} {_surname(person)}", "content": text, "timestamp": at}


def _surname(person: int) -> str:
    syllables = ("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "pu")
    return "".join(syllables[int(digit)] for digit in f"{person:04d}").capitalize()


def tell(url: str, bank_id: str, facts: int) -> list[str]:
    """Retain the turns and wait until facts are found; the ids of the documents.

    Raises:
        LoadError: a request failed, or extraction did not end.
    """
    documents: list[str] = []
    said = list(turns(facts))
    with TimedConnection(url) as connection, Client(url) as client:
        for first in range(0, len(said), DOCUMENT_TURNS):
            documents.append(f"talk-{first}")
            item = {"document_id": documents[-1], "content": said[first : first + DOCUMENT_TURNS]}
            connection.post_ok(retain_path(bank_id), {"items": [item]}, wait_s=PATIENCE_S)
        wait_until(lambda: not client.watermarks(bank_id).stages["extract"].pending, "extraction")
    return documents


def consolidate(client: Client, bank_id: str, meanwhile: Callable[[], None] = lambda: time.sleep(0.05)) -> int:
    """Have a bank consolidated and wait for it; the number of observations.

    Raises:
        LoadError: it did not end.
    """
    operation = client.observations.consolidate(bank_id).operation_id

    def ended() -> bool:
        meanwhile()
        return client.get_operation(bank_id, operation).status == "completed"

    wait_until(ended, "consolidation")
    return client.observations.list(bank_id, limit=1).total


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Look again and again; while a part restarts the answer is no.

    Raises:
        LoadError: it does not come true.
    """
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        try:
            if holds():
                return
        except LorebankError:
            time.sleep(0.2)
        time.sleep(0.01)
    raise LoadError(f"{what} did not end within {WITHIN_S:g} s")


@dataclass(frozen=True, slots=True)
class Scan:
    """All of a bank: live memories' texts by id, observations with their sources by id."""

    texts: dict[str, str]
    observations: dict[str, tuple[str, tuple[str, ...]]]

    @property
    def orphans(self) -> list[str]:
        """Observations that rest on anything that is not there."""
        return [id_ for id_, (_, sources) in self.observations.items() if not self.texts.keys() >= set(sources)]


def scan(client: Client, bank_id: str) -> Scan:
    """Read everything that a bank lists."""
    texts: dict[str, str] = {}
    observations: dict[str, tuple[str, tuple[str, ...]]] = {}
    for type_ in ("world", "experience", "observation"):
        seen, total = 0, 1
        while seen < total:
            page = client.list_memories(bank_id, type=type_, limit=PAGE, offset=seen)
            if not page.items:
                break
            for row in page.items:
                if type_ == "observation":
                    observations[row.id] = (row.text, tuple(row.source_memory_ids or ()))
                else:
                    texts[row.id] = row.text
            seen, total = seen + len(page.items), page.total
    return Scan(texts, observations)
