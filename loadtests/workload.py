"""Generated traffic: facts to retain and questions about them, the same for the same seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

_PEOPLE = ("Amara", "Bruno", "Celine", "Dmitri", "Esther", "Farid", "Greta", "Hiro", "Irina", "Jonas", "Kaya", "Lucia")
_DEEDS = (
    ("repaired", "repair", ("the greenhouse pump", "an old sewing machine", "the ferry's radio", "a cracked cello")),
    ("borrowed", "borrow", ("a telescope", "the long ladder", "two folding kayaks", "a book on mosses")),
    ("ordered", "order", ("forty clay tiles", "a crate of lemons", "new brake pads", "beeswax candles")),
    ("painted", "paint", ("the boat shed", "a map of the valley", "the north gate", "a row of beehives")),
    ("promised", "promise", ("a piano lesson", "help with the harvest", "a ride to the airport", "the plum recipe")),
    ("lost", "lose", ("a silver thimble", "the cellar key", "a pair of snowshoes", "the receipt book")),
)
_PLACES = ("near the lighthouse", "at the tram depot", "in the attic", "behind the bakery", "by the lower lock")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_TAGS = ("heron", "basalt", "juniper", "cobalt", "saffron", "tundra", "quartz", "willow")

MAX_ITEMS = 4
"""Facts of one document."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A sentence with a code that no other has, who says it, and a question that it answers."""

    speaker: str
    text: str
    question: str
    code: str


@dataclass(frozen=True, slots=True)
class Retain:
    """Write a document of some facts."""

    bank_id: str
    document_id: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Recall:
    """Ask a question."""

    bank_id: str
    query: str


@dataclass(frozen=True, slots=True)
class ListDocuments:
    """Read the first page of a bank's documents."""

    bank_id: str


@dataclass(frozen=True, slots=True)
class GetDocument:
    """Read a document that this stream wrote: the one at this share of those it knows to be stored."""

    share: float


Action = Retain | Recall | ListDocuments | GetDocument


class Workload:
    """One client's endless stream of actions over some banks: 70 % recall, 20 % retain, 10 % list or get.

    Streams of different numbers differ, and their document ids and codes never meet.
    """

    def __init__(self, seed: int, stream: int, bank_ids: Sequence[str]) -> None:
        self._random = random.Random(f"{seed}/{stream}")
        self._stream = stream
        self._bank_ids = tuple(bank_ids)
        self._written = 0

    def next_action(self) -> Action:
        """What the client does next."""
        draw = self._random.random()
        bank_id = self._random.choice(self._bank_ids)
        if draw < 0.70:
            return Recall(bank_id, self.next_fact().question)
        if draw < 0.90:
            facts = tuple(self.next_fact() for _ in range(self._random.randint(1, MAX_ITEMS)))
            return Retain(bank_id, f"note-{facts[0].code}", facts)
        if draw < 0.95:
            return ListDocuments(bank_id)
        return GetDocument(self._random.random())

    def next_fact(self) -> Fact:
        """A new sentence."""
        self._written += 1
        code = f"{self._random.choice(_TAGS)}-{self._stream}-{self._written}"
        speaker, other = self._random.sample(_PEOPLE, 2)
        past, infinitive, things = self._random.choice(_DEEDS)
        thing, place, day = (self._random.choice(words) for words in (things, _PLACES, _DAYS))
        return Fact(
            speaker=speaker,
            text=f"On {day} {other} {past} {thing} {place}; I noted it under {code}.",
            question=f"When did {other} {infinitive} {thing}?",
            code=code,
        )


def retain_item(fact: Fact, document_id: str) -> dict[str, object]:
    """A fact as an item of a retain request."""
    return {"content": fact.text, "document_id": document_id, "metadata": {"speaker": fact.speaker}}
