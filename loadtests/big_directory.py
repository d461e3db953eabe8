"""A directory of the embedded store with many banks of generated units, written by the storage shard's own code."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from memory.commands import DeleteBank, DeleteDocument, Item, Message, Retain
from memory.drafting import draft_documents
from memory.encoding import decode_document
from memory.ids import Scope
from memory.ingest import BankView, Embedded, plan_delete_bank, plan_delete_document, plan_retain
from memory.merging import merge_document
from memory.plans import Plan
from memory.protocol import Execute, Recover, TakeEpoch
from memory.records import Document, Head, RecallProfile, RecordKind
from memory.store_calls import GetRecords, ReadHead, Request

T = TypeVar("T")

DIM = 384
TENANT = "load"
PLAN_TURNS = 256
"""Turns of one plan while the directory is filled."""
_WORDS = 20_000
_TURN_WORDS = 12
_TOPICS = 512
_TOPIC_DIMS = 48
_NOISE = 0.6
_SKEW = 0.8


class Shard(Protocol):
    """What of a storage shard is used."""

    def perform(self, scope: Scope, request: Request[T]) -> T:
        """Run a call or a procedure."""
        ...


@dataclass(frozen=True, slots=True)
class BankSize:
    """A bank and how many units it is to hold."""

    scope: Scope
    units: int


def bank_sizes(units: int, banks: int, big: Sequence[int]) -> list[BankSize]:
    """Sizes of all banks, biggest first: those of `big`, and for the rest shares of what is left by a power of rank.

    Raises:
        ValueError: the big banks alone hold more than all units.
    """
    left, count = units - sum(big), banks - len(big)
    if left < count or count < 1:
        raise ValueError(f"{units} units are too few for {banks} banks with big ones of {list(big)}")
    shares = np.arange(1, count + 1, dtype=np.float64) ** -_SKEW
    rest = np.maximum(1, shares / shares.sum() * left).astype(int).tolist()
    sizes = sorted([*big, *rest], reverse=True)
    return [BankSize(Scope(TENANT, f"bank-{number:05d}-{size}"), size) for number, size in enumerate(sizes)]


class Material:
    """Generated turns and sentence vectors, the same for the same seed.

    Words follow a power law. A vector is a topic of its bank, out of a few dozen latent dimensions, with noise of the
    same length: neighbours exist, and no two are equal.
    """

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)
        latent = self._chance.normal(size=(_TOPICS, _TOPIC_DIMS)) @ self._chance.normal(size=(_TOPIC_DIMS, DIM))
        self._topics = latent / np.linalg.norm(latent, axis=1, keepdims=True)
        odds = np.arange(1, _WORDS + 1, dtype=np.float64) ** -1.0
        self._cumulated = np.cumsum(odds / odds.sum())

    def texts(self, count: int) -> list[str]:
        """Sentences of some twelve words."""
        drawn = np.searchsorted(self._cumulated, self._chance.random((count, _TURN_WORDS)))
        return [" ".join(f"w{word}" for word in row) for row in drawn.tolist()]

    def vectors(self, count: int) -> NDArray[np.float32]:
        """Unit vectors, float32, (count, DIM)."""
        topics = self._topics[self._chance.integers(0, _TOPICS, count)]
        rows = topics + _NOISE * self._chance.normal(size=(count, DIM)) / np.sqrt(DIM)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


class Owner:
    """What a bank's host does, as far as the store sees it: takes the bank, plans each command, executes the plan."""

    def __init__(self, shard: Shard, scope: Scope, material: Material) -> None:
        self._shard = shard
        self._scope = scope
        self._material = material
        self._profile = RecallProfile()
        self._nonce = 0
        head = shard.perform(scope, TakeEpoch(self._next_nonce()))
        self.head: Head = shard.perform(scope, Recover(head, self._next_nonce(), datetime.now(UTC))).head

    def plan_turns(self, document_id: str, turns: int) -> Plan:
        """Plan that makes generated turns the document, whatever it held before."""
        messages = tuple(
            Message(text, name=("Ada", "Ben", "Cem")[number % 3])
            for number, text in enumerate(self._material.texts(turns))
        )
        command = Retain(self._next_nonce(), (Item(messages, document_id=document_id, tags=("generated",)),))
        now = datetime.now(UTC)
        merges = [
            merge_document(self._scope, self._find_document(draft.id), draft)
            for draft in draft_documents(self._scope, command, now)
        ]
        new = [chunk for merge in merges for _, chunk in merge.new]
        vectors = self._material.vectors(len(new))
        embedded = {chunk.content_hash: Embedded(row, _TURN_WORDS) for chunk, row in zip(new, vectors, strict=True)}
        return plan_retain(self._view(), command, merges, embedded, now)[0]

    def plan_delete(self, document_id: str) -> Plan:
        """Plan that removes a document which is there."""
        document = self._find_document(document_id)
        assert document is not None
        command = DeleteDocument(self._next_nonce(), document_id)
        return plan_delete_document(self._view(), command, document, datetime.now(UTC))[0]

    def plan_clear(self) -> Plan:
        """Plan that removes the bank."""
        return plan_delete_bank(self._view(), DeleteBank(self._next_nonce()), datetime.now(UTC))[0]

    def execute(self, plan: Plan) -> None:
        """Prepare, commit, apply and settle."""
        self.head = self._shard.perform(self._scope, Execute(self.head, plan, self._next_nonce()))

    def _view(self) -> BankView:
        return BankView(self._scope, self.head, self._profile)

    def _find_document(self, document_id: str) -> Document | None:
        found: dict[str, Any] = self._shard.perform(self._scope, GetRecords(RecordKind.DOCUMENT, (document_id,)))
        return decode_document(document_id, found[document_id].body) if document_id in found else None

    def _next_nonce(self) -> str:
        self._nonce += 1
        return f"{time.time_ns()}-{self._nonce}"


def fill(shard: Shard, sizes: Sequence[BankSize], material: Material) -> Iterator[int]:
    """Write what the banks lack, plan by plan; yields how many units were there or were written since the last time."""
    for bank in sizes:
        stored = shard.perform(bank.scope, ReadHead())
        held = stored.counters.get("units", 0) if stored else 0
        if held:
            yield held
        if held >= bank.units:
            continue
        owner = Owner(shard, bank.scope, material)
        while held < bank.units:
            turns = min(PLAN_TURNS, bank.units - held)
            owner.execute(owner.plan_turns(f"filled-{held}", turns))
            held += turns
            yield turns
