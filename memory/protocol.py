"""The write protocol: every change to a bank is a plan, and every plan is prepared, committed and applied.

1. prepare: the new units are inserted as pending, invisible to every read, and the plan as a commit record;
2. commit: one compare-and-set of the bank's head names that record; nothing before it is visible, nothing after lost;
3. apply: records are written, the units made live and seen to be live, then the old ones retired, then the commit is
   marked settled; its record keeps the texts until the units are durable.

Each step is idempotent and each procedure may be left at any call: what is not committed is swept by the next owner,
what is committed but not settled is applied by it. Nothing is retired before everything new is seen live, and updates
are guarded by (seq, epoch), so that a late write of a former owner changes nothing a later one wrote.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from memory.errors import StaleCommit, StaleEpoch, StoreDamaged
from memory.plans import (
    SETTLED,
    WHOLE,
    Plan,
    committed_whole,
    decode_plan,
    due_after,
    encode_plan,
    summarise_plan,
)
from memory.records import Head, Record, RecordKind, Unit, Vectors
from memory.store_calls import (
    Call,
    ClearBank,
    CreateHead,
    FindLive,
    ForgetText,
    GetRecords,
    InsertUnits,
    ListRecords,
    MoveUnits,
    NewUnit,
    ReadHead,
    RecordPage,
    RemoveRecords,
    RetireUnits,
    SetLive,
    SwapHead,
    SweepPending,
    TrimCommits,
    WriteRecords,
)
from memory.sweeping import HISTORY_COMMITS, Retention, micros, sweep
from memory.upkeep_calls import RelinkUnits

SLICE_UNITS = 64
"""Units in one call: bigger batches bring no throughput and make readers wait."""
SEQ_BLOCK = 1000
"""Seqs reserved with each epoch; what an owner does not use is left out for good."""
REOPENED_AT = datetime(1970, 1, 1, tzinfo=UTC)
"""When a bank is due that its next owner must look at because its store was opened anew (memory/healing.py)."""
_SWAP_ATTEMPTS = 8
_HEAL_ATTEMPTS = 3

T = TypeVar("T")
Steps = Generator[Call[Any], Any, T]


@dataclass(frozen=True, slots=True)
class TakeEpoch:
    """Become the bank's owner: epoch + 1 and a fresh block of seqs, by compare-and-set on the head.

    `above_epoch` and `above_seq` are the highest that a repair has found in the bank: a head that lost writes may be
    below them.
    """

    nonce: str
    above_epoch: int = 0
    above_seq: int = 0

    def steps(self) -> Steps[Head]:
        """The head as it stands now, owned by the caller.

        Raises:
            StaleEpoch: others kept winning the race.
        """
        for attempt in range(_SWAP_ATTEMPTS):
            head: Head | None = yield ReadHead()
            if head is None:
                yield CreateHead(Head())
                continue
            epoch, seq = max(head.epoch, self.above_epoch) + 1, max(head.seq_end, head.seq, self.above_seq)
            owned = replace(head, epoch=epoch, seq=seq, seq_end=seq + SEQ_BLOCK)
            if (yield SwapHead(head, owned, f"{self.nonce}-{attempt}")):
                return owned
        raise StaleEpoch("other owners kept taking the bank")


@dataclass(frozen=True, slots=True)
class Execute:
    """Prepare, commit and apply one plan as the owner whose view of the head is `head`."""

    head: Head
    plan: Plan
    nonce: str

    def steps(self) -> Steps[Head]:
        """The head after the plan, settled.

        Raises:
            StaleEpoch: another owner has taken the bank; nothing of this plan will become visible.
            StaleCommit: the head is not the one the plan was made on.
        """
        number = self.head.commit + 1
        key = f"{self.head.epoch}-{number}-{self.nonce}"
        for part in _sliced(self.plan.add):
            yield InsertUnits(part)
        previous = self.head.commits.get(self.head.commit, "")
        yield WriteRecords((self._commit_record(number, key, encode_plan(self.plan, previous)),))
        committed = replace(
            self.plan.head_after,
            epoch=self.head.epoch,
            commit=number,
            settled=self.head.settled,
            commits={c: k for c, k in {**self.head.commits, number: key}.items() if c > self.head.settled},
            due_at=self.plan.head_after.updated_at,  # due at once, until it is settled: a host that starts finds it
        )
        if not (yield SwapHead(self.head, committed, self.nonce)):
            found: Head | None = yield ReadHead()
            if found is None or found.epoch != self.head.epoch:
                raise StaleEpoch(f"the bank has a newer owner than epoch {self.head.epoch}")
            raise StaleCommit(f"the bank is at commit {found.commit}, not at {self.head.commit}")
        missing = yield from apply_plan(committed, self.plan, micros(self.plan.head_after.updated_at or REOPENED_AT))
        if missing:  # the caller gave vectors for every unit, so nothing can be left out
            raise StoreDamaged(f"{len(missing)} units of an own plan could not be made live")
        return (yield from settle(committed, number, key, self.plan, self.nonce))

    def _commit_record(self, number: int, key: str, body: dict[str, Any]) -> Record:
        return Record(
            RecordKind.COMMIT, key, body, seq=self.plan.seq, epoch=self.head.epoch, order=number, status=WHOLE
        )


@dataclass(frozen=True, slots=True)
class Recovered:
    """The head with every commit settled; or, in `needs`, the units whose vectors must be made before it can be."""

    head: Head
    needs: tuple[Unit, ...] = ()
    sweep_due: datetime | None = None
    """When the bank is to be taken again, for removed records that are not old enough yet."""


@dataclass(frozen=True, slots=True)
class Recover:
    """Apply, as the new owner, what the former one committed but did not settle; then sweep what it only prepared.

    What is old enough at `now` is let go with that.
    """

    head: Head
    nonce: str
    now: datetime
    retention: Retention = field(default_factory=Retention)
    vectors: Mapping[str, Vectors] = field(default_factory=dict)

    def steps(self) -> Steps[Recovered]:
        """The settled head, or the units to embed before the procedure is run again with their vectors."""
        head = self.head
        for number in range(head.settled + 1, head.commit + 1):
            key = head.commits[number]
            found: dict[str, Record] = yield GetRecords(RecordKind.COMMIT, (key,))
            if key not in found:
                yield from _still_ours(head)  # a newer owner may have trimmed it with the history
                raise StoreDamaged(f"commit {number} of the bank is named by its head but not stored ({key})")
            if found[key].status == SETTLED:  # applied in full, and its units are durable
                head = yield from _mark_settled(head, number, due_after(found[key].body), f"{self.nonce}-{number}")
                continue
            plan = decode_plan(found[key].body, head)
            plan = replace(plan, add=tuple(NewUnit(new.unit, self.vectors.get(new.unit.id)) for new in plan.add))
            missing = yield from apply_plan(head, plan, micros(self.now))
            if missing:
                return Recovered(head, missing)
            head = yield from settle(head, number, key, plan, f"{self.nonce}-{number}")
        if head.due_at == REOPENED_AT:
            due_at = yield from _due_of_last_commit(head)
            head = yield from _mark_settled(head, head.settled, due_at, f"{self.nonce}-due")
        yield SweepPending(head.epoch - 1)
        yield from _forget_texts(head, self.head.settled, micros(self.now))
        swept, sweep_due = yield from sweep(head, self.now, self.retention, self.nonce)
        return Recovered(swept, sweep_due=sweep_due)


def apply_plan(head: Head, plan: Plan, at_us: int) -> Steps[tuple[Unit, ...]]:
    """Step 3 up to settling, by the committer or by recovery; answers with units that need vectors, else with none.

    at_us: now, in microseconds since 1970, which is when what the plan removes is removed.
    """
    epoch, seq = head.epoch, plan.seq
    if plan.records:
        yield WriteRecords(tuple(replace(record, seq=seq, epoch=epoch) for record in plan.records))
    for part in _sliced(plan.remake):  # those made anew already have the plan's seq and stay
        yield RetireUnits(part, seq, epoch)
    needs = yield from _make_live(head, plan)
    if needs:
        return needs
    if plan.moves:
        yield MoveUnits(plan.moves, epoch)
    for relinked in _sliced(plan.relink):
        yield RelinkUnits(relinked, epoch)
    for kind in sorted({kind for kind, _ in plan.remove}):  # a document before its chunks
        yield RemoveRecords(kind, tuple(key for k, key in plan.remove if k is kind), seq, epoch, at_us)
    for part in _sliced(plan.retire):
        yield RetireUnits(part, seq, epoch)
    if plan.clear:
        start: str | None = yield ClearBank(seq, epoch, at_us, limit=SLICE_UNITS)
        while start is not None:
            start = yield ClearBank(seq, epoch, at_us, start, SLICE_UNITS)
    return ()


def _make_live(head: Head, plan: Plan) -> Steps[tuple[Unit, ...]]:
    """Set the plan's units live and see that they are; re-insert those that are lost or were taken away to be remade.

    What is re-inserted is made live only if the bank is still ours afterwards: then a later owner's sweep, which comes
    after its taking the epoch, finds what it does not apply itself. Without that look, units that later owners replaced
    and deleted could be put back and made live for good.
    """
    pending = plan.add
    for attempt in range(_HEAL_ATTEMPTS):
        if attempt:
            yield from _still_ours(head)
            bare = tuple(new.unit for new in pending if new.vectors is None)
            if bare:
                return bare
            for part in _sliced(pending):
                yield InsertUnits(part)
            yield from _still_ours(head)
        live: frozenset[str] = frozenset()
        for seq, units in _by_seq(plan, pending):
            for part in _sliced(units):
                ids = tuple(new.unit.id for new in part)
                yield SetLive(ids, seq, head.epoch)
                live |= yield FindLive(ids)
        pending = tuple(new for new in pending if new.unit.id not in live)
        if not pending:
            return ()
    raise StoreDamaged(f"{len(pending)} units were inserted but cannot be made live")


def _by_seq(plan: Plan, units: Sequence[NewUnit]) -> list[tuple[int, list[NewUnit]]]:
    """Units with the seq they are written under."""
    if not plan.own_seqs:
        return [(plan.seq, list(units))]
    found: dict[int, list[NewUnit]] = {}
    for new in units:
        found.setdefault(new.unit.seq, []).append(new)
    return sorted(found.items())


def _still_ours(head: Head) -> Steps[None]:
    found: Head | None = yield ReadHead()
    if found is None or found.epoch != head.epoch:
        raise StaleEpoch(f"the bank has a newer owner than epoch {head.epoch}")


def settle(head: Head, number: int, key: str, plan: Plan, nonce: str) -> Steps[Head]:
    """Mark a commit applied: the head's `settled` moves on, then its record may shrink to history."""
    settled = yield from _mark_settled(head, number, plan.head_after.due_at, nonce)
    yield ForgetText(_summary(key, summarise_plan(plan), plan.seq, head.epoch, number))
    return settled


def _due_of_last_commit(head: Head) -> Steps[datetime | None]:
    key = head.commits.get(head.commit, "")
    found: dict[str, Record] = yield GetRecords(RecordKind.COMMIT, (key,))
    return due_after(found[key].body) if key in found else None


def _forget_texts(head: Head, settled: int, at_us: int) -> Steps[None]:
    """Let go of what former owners left whole: commits up to `settled`, and plans that never became commits."""
    whole = yield from list_whole()
    chain = committed_whole(head, whole)
    for record in chain:
        if record.order <= settled:
            summary = summarise_plan(decode_plan(record.body, head))
            yield ForgetText(_summary(record.key, summary, record.seq, record.epoch, record.order))
    kept = {record.key for record in chain}
    left = tuple(key for key, record in whole.items() if key not in kept and record.epoch < head.epoch)
    if left:
        yield RemoveRecords(RecordKind.COMMIT, left, head.seq + 1, head.epoch, at_us)


def list_whole() -> Steps[dict[str, Record]]:
    """Every commit record of the bank that still holds its texts, by key, committed or not."""
    whole: dict[str, Record] = {}
    total = 1
    while len(whole) < total:
        page: RecordPage = yield ListRecords(RecordKind.COMMIT, HISTORY_COMMITS, len(whole), WHOLE)
        if not page.records:
            break
        whole.update((record.key, record) for record in page.records)
        total = page.total
    return whole


def _summary(key: str, body: dict[str, Any], seq: int, epoch: int, number: int) -> Record:
    return Record(RecordKind.COMMIT, key, body, seq=seq, epoch=epoch, order=number, status=SETTLED)


def _mark_settled(head: Head, number: int, due_at: datetime | None, nonce: str) -> Steps[Head]:
    later = {c: k for c, k in head.commits.items() if c >= number}
    settled = replace(head, settled=number, commits=later, due_at=due_at)
    if not (yield SwapHead(head, settled, f"{nonce}-settled")):
        raise StaleEpoch(f"the bank has a newer owner than epoch {head.epoch}")
    if number % HISTORY_COMMITS == 0:
        yield TrimCommits(number - HISTORY_COMMITS)
    return settled


def _sliced(items: Sequence[T]) -> Iterator[tuple[T, ...]]:
    return (tuple(items[start : start + SLICE_UNITS]) for start in range(0, len(items), SLICE_UNITS))
