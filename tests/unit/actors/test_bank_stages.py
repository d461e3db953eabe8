"""Stages of a Bank over the real stores: a scripted stage stands for extraction."""

import asyncio
from dataclasses import replace

import pytest

from actors.bank_stages import CUT_OFF, CUT_OFF_ATTEMPTS
from memory.commands import AppendTurns, CancelOperation, DeleteDocument, DeleteOperation, OpenSession, RetryOperation
from memory.errors import Conflict, NotFound, Unavailable
from memory.events import ReadEvents
from memory.ids import point_id
from memory.policy import BankPolicy
from memory.records import RecordKind, Source, Unit, UnitKind, UnitType
from memory.stage_commands import EndStage, StageEnd, StageResult
from memory.stages import decode_work
from memory.store_calls import GetRecords, InsertUnits, ListRecords, ReadHead, SwapHead, WriteRecords
from memory.watermarks import ReadWatermarks, Watermark
from storage.run import run
from tests.support.bank_owner import Owner, user
from tests.support.loops import idle, in_loop

WAIT_S = 10_000.0


class Stage:
    """One fact for each chunk; texts with `bad` in them make it fail, `hold` keeps it from answering."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.free = asyncio.Event()
        self.free.set()
        self.raises = False
        """Whether a bad text ends the whole batch, as what nobody thought of does."""

    async def __call__(self, scope, jobs):
        if self.raises and any("bad" in chunk.text for job in jobs for chunk in job.document.chunks):
            raise ValueError("no sense in it")
        return [await self.run(scope, job.document, job.seq) for job in jobs]

    async def run(self, scope, document, seq):
        self.ran.append(document.document.id)
        await self.free.wait()
        if any("bad" in chunk.text for chunk in document.chunks):
            return StageEnd(document.document.id, seq, None, "ValueError: no sense in it")
        result = StageResult(
            tuple(Source(chunk.id, chunk.seq, chunk.content_hash) for chunk in document.chunks),
            tuple(
                Unit(
                    id=point_id(scope, "fact", chunk.id),
                    kind=UnitKind.FACT,
                    type=UnitType.WORLD,
                    text=f"fact: {chunk.text}",
                    document_id=document.document.id,
                    content_hash=chunk.content_hash,
                    recorded_at=chunk.recorded_at,
                    sources=(Source(chunk.id, chunk.seq, chunk.content_hash),),
                )
                for chunk in document.chunks
            ),
        )
        return StageEnd(document.document.id, seq, result)


async def silent(scope, jobs):
    return [StageEnd(job.document.document.id, job.seq, StageResult()) for job in jobs]


@pytest.fixture
def staged(edge) -> Owner:
    """A bank with two stages: a scripted one, and one that makes nothing."""
    owner = make(edge)
    owner.stage = owner.ports["stages"]["extract"]
    return owner


def make(engine) -> Owner:
    stage = Stage()
    policy = BankPolicy(stages=("extract", "resolve"), stage_attempts=2, stage_retry_s=WAIT_S, session_debounce_s=60.0)
    return Owner(engine, policy=policy, stages={"extract": stage, "resolve": silent})


def marks(owner: Owner) -> dict[str, Watermark]:
    return dict(run(owner.engine, owner.scope, ReadWatermarks(("extract", "resolve"))).stages)


def work(owner: Owner, document_id: str = "d"):
    return decode_work(owner.read(GetRecords(RecordKind.STAGES, (document_id,)))[document_id])


def operation(owner: Owner, document_id: str = "d"):
    id_ = work(owner, document_id).operation_id
    return owner.read(GetRecords(RecordKind.OPERATION, (id_,)))[id_]


def facts(owner: Owner) -> set[str]:
    return {text for text in owner.units() if text.startswith("fact")}


@in_loop
async def test_a_document_passes_its_stages_and_is_found_by_what_they_made(staged):
    staged.stage.free.clear()
    await staged.retain(user("one", "two"))
    seq = staged.read(ReadHead()).seq
    await idle()
    assert operation(staged).status == "processing"
    assert operation(staged).body["parent"] == "op"
    assert (marks(staged)["extract"].seq, marks(staged)["extract"].pending) == (seq - 1, 1)
    staged.stage.free.set()
    await staged.bank.stages.rest()
    assert facts(staged) == {"fact: one", "fact: two"}
    assert operation(staged).status == "completed"
    head = staged.read(ReadHead())
    assert marks(staged) == {"extract": Watermark(head.seq), "resolve": Watermark(head.seq)}
    staged.clock.pass_by(5)
    await staged.bank.settle()
    assert staged.read(ReadHead()).due_at is None
    staged.check()


@in_loop
async def test_a_bank_whose_stages_run_stays_in_memory(staged):
    staged.stage.free.clear()
    await staged.retain(user("one"))
    await idle()
    assert not staged.bank.idle
    with pytest.raises(ValueError, match="work in flight"):
        staged.bank.passivate()
    staged.stage.free.set()
    await staged.bank.stages.rest()
    await idle()
    assert staged.bank.idle
    staged.bank.passivate()
    staged.bank = staged.another("again")
    assert facts(staged) == {"fact: one"}
    await staged.retain(user("two"), op="op-2")
    await staged.bank.stages.rest()
    assert facts(staged) == {"fact: two"}
    staged.check()


@in_loop
async def test_facts_go_with_their_document(staged):
    await staged.retain(user("one", "two"))
    await staged.bank.stages.rest()
    await staged.retain(user("two", "three"), op="op-2")
    assert facts(staged) == {"fact: two"}, "those of what was replaced are gone with it"
    await staged.bank.stages.rest()
    assert facts(staged) == {"fact: two", "fact: three"}
    staged.check()
    await staged.bank.perform(DeleteDocument("del", "d"))
    assert staged.units() == {}
    assert staged.read(ListRecords(RecordKind.STAGES, 10)).total == 0
    staged.check()


@in_loop
async def test_a_result_for_what_was_replaced_meanwhile_is_dropped(staged):
    staged.stage.free.clear()
    await staged.retain(user("one"))
    await idle()
    first = operation(staged).key
    await staged.retain(user("changed"), op="op-2")
    staged.stage.free.set()
    await staged.bank.stages.rest()
    assert facts(staged) == {"fact: changed"}
    ended = staged.read(GetRecords(RecordKind.OPERATION, (first,)))[first]
    assert (ended.status, "replaced" in ended.body["error_message"]) == ("cancelled", True)
    staged.check()


@pytest.mark.parametrize(
    "wrong", [{"seq": 77}, {"content_hash": "other"}, {"unit_id": "00000000-0000-8000-8000-000000000000"}]
)
@in_loop
async def test_a_source_that_changed_spoils_a_result(staged, wrong):
    staged.stage.free.clear()
    await staged.retain(user("one"))
    await idle()
    now = work(staged)
    unit = staged.units()["one"]
    source = replace(Source(unit.id, unit.seq, unit.content_hash), **wrong)
    receipt = await staged.bank.perform(EndStage("e", "extract", (StageEnd("d", now.seq, StageResult((source,), ())),)))
    assert receipt.status == "applied"
    assert "source changed" in work(staged).reason
    assert facts(staged) == set()
    staged.stage.free.set()
    await staged.bank.stages.rest()
    assert (await staged.bank.perform(EndStage("e2", "extract", (StageEnd("d", now.seq - 1),)))).status == "dropped"
    staged.check()


@pytest.mark.parametrize("raises", [False, True], ids=["named by the stage", "ends its batch"])
@in_loop
async def test_a_poisoned_document_fails_with_its_reason_and_stops_nothing(staged, raises):
    staged.stage.raises = raises
    await staged.retain(user("bad news"), document_id="poison", op="p")
    for number in range(12):
        await staged.retain(user(f"good {number}"), document_id=f"d{number}", op=f"o{number}")
    await staged.bank.stages.rest()
    poison = work(staged, "poison")
    assert (poison.next, poison.attempts, poison.reason) == ("extract", 1, "ValueError: no sense in it")
    assert marks(staged)["extract"].seq == poison.seq - 1
    assert len(facts(staged)) == 12
    await staged.bank.settle()
    assert staged.read(ReadHead()).due_at == poison.not_before
    staged.clock.pass_by(WAIT_S)
    bank = staged.another("r")
    await bank.settle()
    await bank.stages.rest()
    head = staged.read(ReadHead())
    assert marks(staged)["extract"] == Watermark(head.seq, 0, 1)
    assert dict(work(staged, "poison").states) == {"extract": "failed", "resolve": "skipped"}
    assert operation(staged, "poison").status == "failed"
    assert operation(staged, "poison").body["error_message"] == "ValueError: no sense in it"
    staged.check()


@in_loop
async def test_a_document_whose_attempts_never_end_is_given_up(staged):
    staged.stage.free.clear()
    await staged.retain(user("ends its owner"))
    for number in range(CUT_OFF_ATTEMPTS + 2):
        await idle()
        bank = staged.another(f"owner {number}")
        await bank.settle()
    await idle()
    assert work(staged).attempts == CUT_OFF_ATTEMPTS + 2
    await staged.another("last").settle()
    await idle()
    assert (work(staged).line, work(staged).reason) == ("failed:extract", CUT_OFF)
    staged.check()


@in_loop
async def test_work_under_way_is_done_again_by_the_next_owner_and_only_pending_work(staged):
    await staged.retain(user("done before"), document_id="a", op="a")
    await staged.bank.stages.rest()
    staged.stage.free.clear()
    await staged.retain(user("under way"), document_id="b", op="b")
    await idle()
    dead, staged.stage = staged.stage, None
    successor = make(staged.engine.engine)
    successor.scope, successor.clock = staged.scope, staged.clock
    bank = successor.another("next")
    await bank.settle()
    await bank.stages.rest()
    assert successor.ports["stages"]["extract"].ran == ["b"]
    assert facts(staged) == {"fact: done before", "fact: under way"}
    dead.free.set()
    await staged.bank.stages.rest()  # its result comes too late
    assert dead.ran == ["a", "b"]
    staged.check()


@in_loop
async def test_operations_are_cancelled_tried_again_and_deleted(staged):
    staged.stage.free.clear()
    await staged.retain(user("bad"))
    await idle()
    target = operation(staged).key
    with pytest.raises(Conflict, match="processing"):
        await staged.bank.perform(DeleteOperation("x", target))
    await staged.bank.perform(CancelOperation("c", target))
    assert operation(staged).status == "cancelled"
    with pytest.raises(Conflict, match="cancelled"):
        await staged.bank.perform(CancelOperation("c2", target))
    staged.stage.free.set()
    await staged.bank.stages.rest()
    assert (operation(staged).status, facts(staged)) == ("cancelled", set())
    runs = len(staged.stage.ran)
    before = marks(staged)["extract"].seq
    await staged.bank.perform(RetryOperation("r", target))
    await staged.bank.stages.rest()
    assert len(staged.stage.ran) == runs + 1
    assert operation(staged).status == "processing"
    assert marks(staged)["extract"].seq >= before
    staged.clock.pass_by(WAIT_S)
    await staged.bank.settle()
    await staged.bank.stages.rest()
    assert operation(staged).status == "failed"
    with pytest.raises(Conflict, match="completed"):
        await staged.bank.perform(RetryOperation("r2", "op"))
    await staged.bank.perform(DeleteOperation("x2", target))
    with pytest.raises(NotFound):
        await staged.bank.perform(RetryOperation("r3", target))
    types = [event.type for _, event in run(staged.engine, staged.scope, ReadEvents()).events]
    assert types == ["retain.completed", "operation.cancelled", "operation.failed"]
    staged.check()


@in_loop
async def test_what_was_asked_of_an_operation_is_done_once_however_often_it_is_sent(staged):
    staged.stage.free.clear()
    await staged.retain(user("bad"))
    await idle()
    target = operation(staged).key
    expected = {CancelOperation: "cancelled", RetryOperation: "pending", DeleteOperation: "deleted"}
    for number, (follow, status) in enumerate(expected.items()):
        command = follow(f"follow-{number}", target)
        if follow is DeleteOperation:
            await staged.bank.perform(CancelOperation("again", target))
        commits = staged.read(ReadHead()).commit
        staged.engine.arm(SwapHead, "after", Unavailable("the answer is lost"))
        with pytest.raises(Unavailable):
            await staged.bank.perform(command)
        assert (await staged.another().perform(command)).status == status
        assert (await staged.bank.perform(command)).status == status
        assert staged.read(ReadHead()).commit == commits + 1
    staged.stage.free.set()
    await staged.bank.stages.rest()
    staged.check()


@in_loop
async def test_stages_that_cannot_write_stop_and_go_on_when_the_bank_is_looked_at_again(staged, caplog):
    staged.stage.free.clear()
    await staged.retain(user("one"))
    await idle()
    staged.engine.arm(InsertUnits, "before", Unavailable("the store is away"))
    staged.stage.free.set()
    await staged.bank.stages.rest()
    assert (facts(staged), marks(staged)["extract"].pending) == (set(), 1)
    assert "the store is away" in caplog.text
    staged.clock.pass_by(5)
    await staged.bank.settle()
    await staged.bank.stages.rest()
    assert facts(staged) == {"fact: one"}
    staged.check()


@in_loop
async def test_the_document_of_a_session_passes_its_stages_once_the_session_rests(staged):
    await staged.bank.perform(OpenSession("o", "s"))
    await staged.bank.perform(AppendTurns("a", "s", user("one")))
    await staged.bank.perform(AppendTurns("b", "s", user("two")))
    await staged.bank.stages.rest()
    assert (staged.stage.ran, work(staged, "s").line) == ([], "waiting")
    assert marks(staged)["extract"].seq == work(staged, "s").seq - 1
    staged.clock.pass_by(61)
    await staged.bank.settle()
    await staged.bank.stages.rest()
    assert staged.stage.ran == ["s"]
    assert facts(staged) == {"fact: one", "fact: two"}
    await staged.bank.perform(AppendTurns("c", "s", user("three")))
    assert facts(staged) == {"fact: one", "fact: two"}, "what was known stays until the whole is looked at again"
    assert work(staged, "s").line == "waiting"
    staged.check()
    staged.clock.pass_by(61)
    await staged.bank.settle()
    await staged.bank.stages.rest()
    assert facts(staged) == {"fact: one", "fact: two", "fact: three"}
    assert marks(staged)["extract"] == Watermark(staged.read(ReadHead()).seq)
    staged.check()


@in_loop
async def test_a_crash_between_commit_and_apply_moves_no_watermark_too_far(staged):
    """The seq is taken with the commit; that its document is pending stands in the commit's record until then."""
    staged.engine.arm(WriteRecords, "before", Unavailable("gone"), nth=2)
    with pytest.raises(Unavailable):
        await staged.retain(user("one"))
    head = staged.read(ReadHead())
    assert head.commit == head.settled + 1
    assert marks(staged)["extract"].seq == head.seq - 1
    staged.engine.disarm()
    bank = staged.another("q")
    await bank.settle()
    await bank.stages.rest()
    assert marks(staged)["extract"].seq == staged.read(ReadHead()).seq
    staged.check()


@in_loop
async def test_without_stages_nothing_is_pending(owner):
    await owner.retain(user("one"))
    head = owner.read(ReadHead())
    assert head.due_at is None
    assert owner.read(ListRecords(RecordKind.STAGES, 10)).total == 0
    assert run(owner.engine, owner.scope, ReadWatermarks(())).accepted == head.seq
