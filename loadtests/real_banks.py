"""Banks of any size with vectors beside those of real texts, and units that only one rare token tells apart."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from loadtests.big_directory import Shard
from loadtests.dialogue import read_conversations
from memory.commands import Item, Message, Retain
from memory.drafting import dense_text, draft_documents
from memory.ids import Scope
from memory.ingest import BankView, Embedded, plan_retain
from memory.merging import merge_document
from memory.ports import Embedder
from memory.protocol import Execute, Recover, TakeEpoch
from memory.records import Embedding, RecallProfile

SAMPLES = (
    Path(__file__).with_name("data") / "assistant-chat.ndjson",
    Path(__file__).with_name("data") / "notes.ndjson",
)
PLAN_TURNS = 256
_NOISE = 0.5
"""Length of what is added to a unit vector: a neighbour of the sample, at a cosine of some 0.9."""
_TURN_WORDS = 14
_NAMES = ("Ada", "Ben", "Cem")


@dataclass(frozen=True, slots=True)
class RareText:
    """A unit that holds something said once in its bank, and a question for it."""

    text: str
    query: str


def rare_texts(count: int) -> list[RareText]:
    """Order numbers and names, in turns; the same for the same count."""
    syllables = ("bra", "cor", "dun", "fel", "gri", "hov", "jas", "kel", "lom", "mur", "nev", "pox", "quil", "ros")
    found = []
    for number in range(count):
        code = f"{chr(65 + number % 26)}{chr(65 + number * 7 % 26)}-{10_000 + number * 7919 % 90_000}"
        first, second, third = (syllables[number * step % len(syllables)] for step in (1, 3, 5))
        name = f"{first}{second}{third}{syllables[number // len(syllables) % len(syllables)]}".capitalize()
        order = RareText(f"The order number is {code}, it should arrive by Friday.", f"What about order {code}?")
        met = RareText(f"I met somebody called {name} at the station.", f"Who is {name}?")
        found.append((order, met)[number % 2])
    return found


class RealMaterial:
    """Generated turns with what an embedder would make of them, the same for the same seed."""

    def __init__(self, embedder: Embedder, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        texts = [turn.text for path in SAMPLES for one in read_conversations(path) for turn in one.turns]
        self._embeddings = embedder.embed_with_tokens(texts)
        self._words = sorted({word for text in texts for word in text.split()})

    def turns(self, count: int) -> list[tuple[str, Embedding]]:
        """Texts of words of the sample, and vectors beside those of the sample."""
        made = []
        for place in self._chance.integers(0, len(self._embeddings), count).tolist():
            near = self._embeddings[place]
            noise = self._chance.normal(size=len(near.dense)) * (_NOISE / len(near.dense) ** 0.5)
            dense = (near.dense + noise).astype(np.float32)
            words = self._chance.integers(0, len(self._words), _TURN_WORDS)
            text = " ".join(self._words[word] for word in words.tolist())
            made.append((text, Embedding(dense / np.linalg.norm(dense), near.tokens)))
        return made


def plant(rare: Sequence[RareText], embedder: Embedder) -> list[tuple[str, Embedding]]:
    """The rare texts as turns."""
    embedded = embedder.embed_with_tokens([dense_text(one.text, None) for one in rare])
    return [(one.text, made) for one, made in zip(rare, embedded, strict=True)]


def fill_bank(
    shard: Shard, scope: Scope, units: int, material: RealMaterial, planted: Sequence[tuple[str, Embedding]]
) -> Iterator[int]:
    """Write a bank of `units` turns, the planted ones spread evenly over it; yields how many were written each time.

    Raises:
        ValueError: more are planted than the bank is to hold.
    """
    if len(planted) > units:
        raise ValueError(f"{len(planted)} planted turns do not fit into {units} units")
    waiting, step, written = list(planted), units // max(1, len(planted)), 0
    while written < units:
        turns = material.turns(min(PLAN_TURNS, units - written))
        for place in range(len(turns)):
            if waiting and (written + place) % step == 0:
                turns[place] = waiting.pop(0)
        named = [(_NAMES[place % len(_NAMES)], *turn) for place, turn in enumerate(turns)]
        fill_turns(shard, scope, named, f"filled-{written}")
        written += len(turns)
        yield len(turns)


def fill_turns(
    shard: Shard, scope: Scope, turns: Sequence[tuple[str, str, Embedding]], document_id: str = "turns"
) -> None:
    """Write turns (who speaks, what, and what an embedder made of it) as one document more of a bank."""
    nonce = f"{time.time_ns()}"
    head = shard.perform(scope, TakeEpoch(nonce))
    now = datetime.now(UTC)
    head = shard.perform(scope, Recover(head, f"{nonce}-recovered", now)).head
    messages = tuple(Message(text, name=who) for who, text, _ in turns)
    command = Retain(document_id, (Item(messages, document_id=document_id),))
    merges = [merge_document(scope, None, draft) for draft in draft_documents(scope, command, now)]
    by_text = {text: made for _, text, made in turns}
    embedded = {
        chunk.content_hash: Embedded(by_text[chunk.text].dense, _TURN_WORDS, by_text[chunk.text].tokens)
        for merge in merges
        for _, chunk in merge.new
    }
    profile = RecallProfile(dict.fromkeys(sorted({who for who, _, _ in turns}), len(turns)))
    plan, _ = plan_retain(BankView(scope, head, profile), command, merges, embedded, now)
    shard.perform(scope, Execute(head, plan, f"{nonce}-filled"))
