"""Documents -> batches: each is one command to one bank and carries many documents; a pure function of the input.

Because the same input gives the same batches, with operation ids made from their content, a run that was killed is
repeated by running it again: what was done is recognised, here by the progress file, at the bank by the operation id.
"""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from functools import cached_property

from jobs.parts import Gathered, Reject
from memory.commands import Item, Retain
from memory.ids import Scope, point_id

BATCH_TURNS = 256
BATCH_BYTES = 1 << 20
WAITING_TURNS = 8 * BATCH_TURNS
"""Turns of all banks that may wait for their batches to fill."""


@dataclass(frozen=True)
class Batch:
    """Documents for one bank, in order of reading."""

    scope: Scope
    documents: tuple[Gathered, ...]

    @cached_property
    def operation_id(self) -> str:
        """Made from the content, for this bank."""
        return operation_of(self.scope, self.items)

    @property
    def items(self) -> tuple[Item, ...]:
        """Everything in it."""
        return tuple(item for document in self.documents for item in document.items)

    @property
    def turns(self) -> int:
        """Turns of all its documents."""
        return sum(document.turns for document in self.documents)

    @property
    def command(self) -> Retain:
        """What is sent."""
        return Retain(self.operation_id, self.items)


def operation_of(scope: Scope, items: tuple[Item, ...]) -> str:
    """Operation id of what is to be retained."""
    return point_id(scope, "backfill", repr(items))


def cut_batches(
    documents: Iterable[Gathered | Reject], tenant: str, batch_documents: int
) -> Generator[Batch | Reject, None, None]:
    """Batches of each bank, full ones first; a document is never parted, and may fill a batch of its own."""
    waiting: dict[str, list[Gathered]] = {}
    turns: dict[str, int] = {}

    def cut(bank: str) -> Batch:
        del turns[bank]
        return Batch(Scope(tenant, bank), tuple(waiting.pop(bank)))

    for document in documents:
        if isinstance(document, Reject):
            yield document
            continue
        bank = document.bank
        held = waiting.get(bank)
        if held and (
            turns[bank] + document.turns > BATCH_TURNS
            or sum(d.size_bytes for d in held) + document.size_bytes > BATCH_BYTES
        ):
            yield cut(bank)
        waiting.setdefault(bank, []).append(document)
        turns[bank] = turns.get(bank, 0) + document.turns
        if turns[bank] >= BATCH_TURNS or len(waiting[bank]) >= batch_documents:
            yield cut(bank)
        elif sum(turns.values()) > WAITING_TURNS:
            yield cut(max(turns, key=lambda name: turns[name]))
    for bank in list(waiting):
        yield cut(bank)
