"""Stage states and watermarks: any order of events gives the watermark that a full ledger of seqs gives."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.errors import Conflict, NotFound
from memory.ids import Scope
from memory.operations import TERMINAL, OperationStatus, check_followed
from memory.policy import BankPolicy
from memory.records import Record, RecordKind
from memory.stages import (
    DONE,
    WAITING,
    StageState,
    StageWork,
    begin,
    cancel,
    decode_work,
    encode_work,
    fail,
    failed_line,
    new_work,
    operation_of,
    pending_line,
    retry,
    succeed,
)
from memory.staging import accept_documents, drop_documents, hold_document, release_document
from memory.watermarks import watermark

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCOPE = Scope("t", "b")
STAGES = ("extract", "resolve")
POLICY = BankPolicy(stages=STAGES, stage_attempts=2, stage_retry_s=8.0)
EVENTS = st.lists(st.tuples(st.sampled_from("arwxpfpfpfpfcd"), st.integers(0, 2)), min_size=10, max_size=60)


class Bank:
    """The records that plans would write, and beside them a ledger of what became of every seq."""

    def __init__(self) -> None:
        self.works: dict[str, StageWork] = {}
        self.seq = 0
        self.ledger: dict[int, dict[str, StageState]] = {}

    def _next(self) -> int:
        self.seq += 1
        return self.seq

    def _note(self, work: StageWork, before: StageWork | None = None) -> None:
        if before is not None and before.seq != work.seq:
            self._replaced(before.seq)
        self.works[work.document_id] = decode_work(encode_work(work))
        self.ledger[work.seq] = dict(work.states)

    def _replaced(self, seq: int) -> None:
        kept = (StageState.DONE, StageState.FAILED)
        self.ledger[seq] = {s: v if v in kept else StageState.REPLACED for s, v in self.ledger[seq].items()}

    def _write(self, records: tuple[Record, ...], document: str) -> None:
        (record,) = [record for record in records if record.kind is RecordKind.STAGES]
        self._note(decode_work(record), self.works.get(document))

    def do(self, what: str, which: int) -> None:
        document = f"d{which}"
        work = self.works.get(document)
        works = {document: work} if work else {}
        match what:
            case "a":
                self._write(accept_documents(SCOPE, POLICY, works, {document: self._next()}, NOW).records, document)
            case "w":
                self._write(hold_document(SCOPE, POLICY, work, document, self._next(), NOW, "op").records, document)
            case "r" if work and work.waiting:
                self._write(release_document(SCOPE, POLICY, work, document, self._next(), NOW).records, document)
            case "x" if work:
                self._next()
                assert drop_documents(works, NOW).remove == ((RecordKind.STAGES, document),)
                self._replaced(work.seq)
                del self.works[document]
            case "p" if work and work.next and not work.waiting:
                self._note(succeed(begin(work), work.next), work)
            case "f" if work and work.next and not work.waiting:
                self._note(fail(begin(work), work.next, "bad", POLICY, NOW), work)
            case "c" if work and (work.next or work.waiting):
                self._note(cancel(work), work)
            case "d" if work and work.status in {OperationStatus.FAILED, OperationStatus.CANCELLED}:
                self._note(retry(work, self._next()), work)
            case _:
                self._next()  # another command takes a seq and has no document

    def said(self, stage: str) -> tuple[int, int]:
        """Watermark and failed count as the lines of the records give them."""
        lines = [WAITING, *(pending_line(one) for one in STAGES[: STAGES.index(stage) + 1])]
        oldest = [min(seqs) for line in lines if (seqs := self._in(line))]
        return watermark(self.seq, oldest), len(self._in(failed_line(stage)))

    def _in(self, line: str) -> list[int]:
        return [-record.order for record in map(encode_work, self.works.values()) if record.status == line]

    def counted(self, stage: str) -> tuple[int, int]:
        """The longest prefix of seqs that are terminal, looked at one by one."""
        prefix = 0
        while prefix < self.seq and self.ledger.get(prefix + 1, {}).get(stage) is not StageState.PENDING:
            prefix += 1
        failed = sum(work.states[stage] is StageState.FAILED for work in self.works.values())
        return prefix, failed


@settings(max_examples=100)
@given(EVENTS)
def test_a_watermark_is_the_end_of_the_longest_terminal_prefix_and_never_goes_back(events):
    bank = Bank()
    before = dict.fromkeys(STAGES, 0)
    for what, which in events:
        bank.do(what, which)
        for stage in STAGES:
            assert bank.said(stage) == bank.counted(stage)
            assert bank.said(stage)[0] >= before[stage]
            before[stage] = bank.said(stage)[0]
        assert bank.said("resolve")[0] <= bank.said("extract")[0]


@given(EVENTS)
def test_an_operation_says_how_far_its_work_is(events):
    bank = Bank()
    for what, which in events:
        bank.do(what, which)
        for work in bank.works.values():
            operation = operation_of(work, NOW)
            assert (operation.status in TERMINAL) == (not work.next and not work.waiting)
            assert (work.line == DONE) == (operation.status in {"completed", "cancelled"})
            assert operation.body["progress"]["processed"] <= operation.body["progress"]["total"]


def test_attempts_are_bounded_and_the_last_reason_is_kept():
    work = new_work(SCOPE, STAGES, "d", 1, NOW)
    once = fail(begin(work), "extract", "first", POLICY, NOW)
    assert (once.next, once.reason, once.not_before) == ("extract", "first", NOW + timedelta(seconds=8))
    assert once.line == pending_line("extract")
    twice = fail(begin(once), "extract", "x" * 1000, POLICY, NOW)
    assert (twice.next, len(twice.reason or ""), twice.line) == (None, 500, failed_line("extract"))
    assert dict(twice.states) == {"extract": "failed", "resolve": "skipped"}
    assert operation_of(twice, NOW).body["error_message"] == twice.reason
    again = retry(twice, 9)
    assert (again.next, again.attempts, again.seq, again.line) == ("extract", 0, 9, pending_line("extract"))
    halfway = retry(cancel(succeed(begin(work), "extract")), 5)
    assert dict(halfway.states) == {"extract": "done", "resolve": "pending"}


@pytest.mark.parametrize("status", list(OperationStatus))
def test_what_may_follow_on_which_state(status):
    allowed = {
        "cancel": {"pending", "processing"},
        "retry": {"failed", "cancelled"},
        "delete": {"completed", "failed", "cancelled"},
    }
    operation = Record(RecordKind.OPERATION, "o", {}, status=status.value)
    for verb, states in allowed.items():
        if status.value in states:
            assert check_followed(operation, "o", verb) is operation
        else:
            with pytest.raises(Conflict, match=status.value):
                check_followed(operation, "o", verb)
        with pytest.raises(NotFound):
            check_followed(None, "o", verb)
