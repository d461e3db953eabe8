"""After an engine's end: procedures that find what a bank has lost and make its next owner put it right.

They run when a store is opened, before anybody else works on it. None of them needs vectors: text that is there is
embedded again by the bank's owner, in the recovery that it does anyway.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from memory.encoding import decode_chunks
from memory.plans import committed_whole, decode_plan
from memory.protocol import REOPENED_AT, SEQ_BLOCK, SLICE_UNITS, Steps, list_whole
from memory.records import Head, Record, RecordKind
from memory.store_calls import (
    CreateHead,
    FindLive,
    GetRecords,
    ListRecords,
    ReadHead,
    RecordPage,
    SwapHead,
    WriteRecords,
)

DAMAGED = "damaged"
"""Status of a document record some of whose chunks are lost with their text."""
PAGE_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class LostDocument:
    """Chunks of one document that are not live."""

    document_id: str
    chunks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reopen:
    """Hand a bank with whole commit records to its next owner, who lets go of their texts or applies them anew.

    With `units_lost` everything whose text is still whole counts as not applied. The epoch moves on, so that an owner
    from before does not go on with what it remembers.
    """

    nonce: str
    units_lost: bool

    def steps(self) -> Steps[tuple[LostDocument, ...]]:
        """Documents whose chunks will be made again from their text."""
        head: Head | None = yield ReadHead()
        if head is None:
            return ()
        chain = committed_whole(head, (yield from list_whole()))
        reopened = replace(head, epoch=head.epoch + 1, due_at=REOPENED_AT)
        if self.units_lost and chain and chain[0].order <= head.settled:
            commits = {record.order: record.key for record in chain}
            reopened = replace(reopened, settled=chain[0].order - 1, commits=commits)
        yield SwapHead(head, reopened, self.nonce)
        if not self.units_lost:
            return ()
        wanted: dict[str, str] = {}
        for record in chain:
            plan = decode_plan(record.body, head)
            if plan.clear:
                wanted.clear()
            for unit in plan.retire:
                wanted.pop(unit, None)
            wanted.update((new.unit.id, new.unit.document_id) for new in plan.add)
        return (yield from _find_lost(wanted))


@dataclass(frozen=True, slots=True)
class CheckDocuments:
    """Look for every chunk that a document record names; mark documents that lost some for good.

    Units in `healing` are made again from their text and do not count as lost. A bank that lost something goes to its
    next owner, whose seqs are beyond those of the marks.
    """

    healing: frozenset[str]
    nonce: str = "checked"

    def steps(self) -> Steps[tuple[LostDocument, ...]]:
        """Documents with lost chunks."""
        head: Head = (yield ReadHead()) or Head()
        lost: list[LostDocument] = []
        for kind in (RecordKind.DOCUMENT, RecordKind.SESSION_PART):
            seen, total = 0, 1
            while seen < total:
                page: RecordPage = yield ListRecords(kind, PAGE_RECORDS, seen)
                if not page.records:
                    break
                for record in page.records:
                    found = yield from self._look(head, record)
                    lost.extend(found)
                seen, total = seen + len(page.records), page.total
        if lost:
            seq = head.seq + 1  # that of the marks
            seq_end = max(head.seq_end, seq)
            moved = replace(head, epoch=head.epoch + 1, seq=seq, seq_end=seq_end, due_at=REOPENED_AT)
            yield SwapHead(head, moved, self.nonce)
        return tuple(lost)

    def _look(self, head: Head, record: Record) -> Steps[tuple[LostDocument, ...]]:
        """What one record lists and is lost; its document is marked."""
        document_id = str(record.body["session"]) if record.kind is RecordKind.SESSION_PART else record.key
        chunks = decode_chunks(record.body)
        found = yield from _find_lost({c.unit_id: document_id for c in chunks if c.unit_id not in self.healing})
        if found:
            documents: dict[str, Record] = yield GetRecords(RecordKind.DOCUMENT, (document_id,))
            # Later than every commit that is applied anew, which would take the mark away.
            marked = (replace(one, status=DAMAGED, seq=head.seq + 1, epoch=head.epoch) for one in documents.values())
            yield WriteRecords(tuple(marked))
        return found


@dataclass(frozen=True, slots=True)
class RaiseHead:
    """See that a bank's head is not behind its units, or late writes would be taken for newer ones.

    seq, epoch: the highest of its units; counters: a recount, for a head that is lost altogether.
    """

    nonce: str
    seq: int
    epoch: int
    counters: Mapping[str, int]

    def steps(self) -> Steps[bool]:
        """Whether the head was behind."""
        head: Head | None = yield ReadHead()
        if head is None:
            raised = Head(
                epoch=self.epoch + 1,
                seq=self.seq,
                seq_end=self.seq + SEQ_BLOCK,
                exists=True,
                counters=self.counters,
                created_at=REOPENED_AT,
                updated_at=REOPENED_AT,
            )
            yield CreateHead(raised)
            return True
        if head.epoch >= self.epoch and head.seq >= self.seq:
            return False
        seq = max(head.seq_end, self.seq)
        epoch = max(head.epoch, self.epoch) + 1
        yield SwapHead(head, replace(head, epoch=epoch, seq=seq, seq_end=seq + SEQ_BLOCK), self.nonce)
        return True


def _find_lost(wanted: Mapping[str, str]) -> Steps[tuple[LostDocument, ...]]:
    """By document, which of the units (id -> document id) are not live."""
    ids = tuple(wanted)
    live: frozenset[str] = frozenset()
    for start in range(0, len(ids), SLICE_UNITS):
        live |= yield FindLive(ids[start : start + SLICE_UNITS])
    lost: dict[str, list[str]] = {}
    for unit, document_id in wanted.items():
        if unit not in live:
            lost.setdefault(document_id, []).append(unit)
    return tuple(LostDocument(document_id, tuple(units)) for document_id, units in lost.items())
