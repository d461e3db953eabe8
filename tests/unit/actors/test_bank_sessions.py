"""Sessions of a Bank over the real stores, without Ray."""

from datetime import timedelta

import pytest

from memory.breaches import BreachKind
from memory.commands import (
    AppendTurns,
    CloseSession,
    DeleteBank,
    DeleteDocument,
    DeleteSession,
    Item,
    Message,
    OpenSession,
    RepairBank,
)
from memory.encoding import decode_document
from memory.errors import Conflict, NotFound, TooLarge, Unavailable
from memory.events import ReadEvents
from memory.policy import BankPolicy
from memory.records import RecordKind
from memory.sessions import decode_session
from memory.store_calls import GetRecords, ListRecords, ListUnits, ReadHead, SetLive, SwapHead, WriteRecords
from storage.run import run
from tests.support.bank_owner import Owner, user
from tests.support.builders import retain
from tests.support.clocks import START
from tests.support.loops import in_loop
from tests.support.planting import Vandal, audit

POLICY = BankPolicy(session_debounce_s=60.0, session_idle_ttl_s=3600.0, session_turns=40, session_bytes=5000)


@pytest.fixture
def talker(request, edge) -> Owner:
    """A bank with short bounds for its sessions."""
    return Owner(edge, policy=POLICY)


async def say(owner: Owner, *texts: str, op: str, session: str = "s", bank=None):
    return await (bank or owner.bank).perform(AppendTurns(op, session, user(*texts)))


def stored(owner: Owner, session: str = "s"):
    return decode_session(owner.read(GetRecords(RecordKind.SESSION, (session,)))[session])


def listed(owner: Owner, session: str = "s"):
    """The document's own record, without the parts."""
    return decode_document(session, owner.read(GetRecords(RecordKind.DOCUMENT, (session,)))[session].body)


@in_loop
async def test_appended_turns_are_found_at_once_and_read_in_order(owner):
    await owner.bank.perform(OpenSession("o", "s", tags=("chat",), metadata={"app": "x"}))
    receipt = await say(owner, "The red bicycle is in the garden.", "yes", op="a")
    assert (receipt.first_turn, receipt.turns, receipt.chunks) == (0, 2, 2)
    assert owner.recall("where is the bicycle")[0] == "The red bicycle is in the garden."
    receipt = await say(owner, "Apples taste of autumn.", "yes ", "no", op="b")
    assert (receipt.first_turn, receipt.turns) == (2, 5)
    assert owner.recall("apples")[0] == "Apples taste of autumn."
    assert owner.text("s") == "The red bicycle is in the garden.\nyes\nApples taste of autumn.\nyes \nno"
    (unit,) = [unit for text, unit in owner.units().items() if text == "no"]
    assert (unit.session, unit.document_id, unit.tags, unit.metadata["app"]) == ("s", "s", ("chat",), "x")
    owner.check()


@in_loop
async def test_the_closed_document_is_the_turns_as_they_were_sent(talker):
    texts = ["  lead", "trail \n", "word " * 250 + "\n ", "same", "x" * 1500, "ünï ☃", "same", "end\n\n"]
    await talker.bank.perform(OpenSession("o", "s"))
    for number, start in enumerate(range(0, len(texts), 3)):
        await say(talker, *texts[start : start + 3], op=f"a{number}")
    assert talker.text("s") == "\n".join(texts)
    closed = await talker.bank.perform(CloseSession("c", "s"))
    assert (closed.state, closed.closed_by, closed.parts, closed.turns) == ("closed", "caller", 0, len(texts))
    assert talker.text("s") == "\n".join(texts)
    talker.check()
    await talker.bank.perform(retain(Item(user(*texts), "whole"), op="w"))
    assert talker.text("whole") == talker.text("s")
    assert await talker.bank.perform(CloseSession("c2", "s")) == closed
    await talker.bank.perform(retain(user("after"), op="later", document_id="s", update_mode="append"))
    assert talker.text("s") == "\n".join([*texts, "after"])
    talker.check()


@in_loop
async def test_an_append_costs_the_same_however_long_the_session_is(edge):
    owner = Owner(edge, policy=BankPolicy(session_debounce_s=9e9, session_idle_ttl_s=9e9))
    await owner.bank.perform(OpenSession("o", "s"))
    real, log = owner.engine.engine.call, []

    def note(scope, call):
        answer = real(scope, call)
        log.append((type(call).__name__, len(repr(call)) + len(repr(answer))))
        return answer

    owner.engine.call = note
    sizes = []
    for number in range(60):
        log.clear()
        await say(owner, f"turn {number:05d} a", f"turn {number:05d} b", op=f"op-{number:05d}")
        sizes.append((tuple(name for name, _ in log), sum(size for _, size in log)))
    assert sizes[5][0] == sizes[-1][0], "the same calls"
    assert sizes[-1][1] - sizes[5][1] < 1000, "108 chunks more in the list would be 16,000 characters"
    assert stored(owner).parts == 59
    owner.check()


@in_loop
async def test_a_retried_append_is_done_once_whoever_owns_the_bank(owner):
    await owner.bank.perform(OpenSession("o", "s"))
    first = await say(owner, "one", op="a")
    again = await say(owner, "one", op="a", bank=owner.another())
    assert again.replayed
    assert (again.seq, again.first_turn, again.turns) == (first.seq, first.first_turn, first.turns)
    with pytest.raises(Conflict, match="another command"):
        await say(owner, "two", op="a")
    assert owner.text("s") == "one"
    assert (await owner.another("p").perform(OpenSession("o", "s"))).turns == 1
    owner.check()


@pytest.mark.parametrize("call", [WriteRecords, SetLive])
@in_loop
async def test_an_append_that_is_cut_off_is_neither_lost_nor_doubled(edge, call):
    for when in ("before", "after"):
        owner = Owner(edge)
        await owner.bank.perform(OpenSession("o", "s"))
        await say(owner, "one", op="a")
        owner.engine.arm(call, when, Unavailable("cut off"))
        with pytest.raises(Unavailable):
            await say(owner, "two", "three", op="b")
        owner.engine.disarm()
        await say(owner, "two", "three", op="b", bank=owner.another())
        assert owner.text("s") == "one\ntwo\nthree"
        owner.check()


@in_loop
async def test_equal_turns_with_equal_times_are_all_kept(owner):
    same = Message("same", role="user", timestamp=START)
    await owner.bank.perform(OpenSession("o", "s"))
    for number, turns in enumerate([(same, same), (same,), (Message("x"), same, same)]):
        await owner.bank.perform(AppendTurns(f"a{number}", "s", turns))
    assert owner.text("s") == "same\nsame\nsame\nx\nsame\nsame"
    assert len(owner.read(ListUnits(100)).units) == 6
    owner.check()


@in_loop
async def test_a_session_that_rests_is_folded_when_it_is_due_and_only_then(talker):
    await talker.bank.perform(OpenSession("o", "s"))
    for number in range(3):
        await say(talker, f"turn {number}", op=f"a{number}")
    assert len(listed(talker).chunks) == 1
    due = talker.read(ReadHead()).due_at
    assert START < due < START + timedelta(seconds=90)
    await talker.bank.settle()
    assert stored(talker).parts == 2, "it does not rest yet"
    talker.clock.pass_by(61)
    successor = talker.another("q")  # the owner is gone, and with it whatever it remembered
    await successor.settle()
    assert (stored(talker).parts, stored(talker).resting) == (0, True)
    assert [entry.item for entry in listed(talker).chunks] == [0, 0, 0]
    assert talker.text("s") == "turn 0\nturn 1\nturn 2"
    assert talker.read(ReadHead()).due_at == stored(talker).expires_at
    talker.check()
    await say(talker, "turn 3", op="a3", bank=successor)
    assert (stored(talker).parts, len(listed(talker).chunks)) == (1, 3)
    assert talker.text("s") == "turn 0\nturn 1\nturn 2\nturn 3"
    talker.check()


@in_loop
async def test_a_session_nobody_comes_back_to_is_closed_and_its_memory_stays(talker):
    await talker.bank.perform(OpenSession("o", "s", idle_ttl_s=100))
    await talker.bank.perform(OpenSession("o2", "empty"))
    await say(talker, "kept", op="a")
    talker.clock.pass_by(200)
    await talker.another("q").settle()
    assert (stored(talker).state, stored(talker).closed_by) == ("closed", "expiry")
    assert stored(talker, "empty").state == "open"
    assert talker.text("s") == "kept"
    with pytest.raises(Conflict, match="closed"):
        await say(talker, "late", op="b", bank=talker.another("r"))
    bank = talker.another("t")
    talker.clock.pass_by(4000)
    await bank.settle()
    assert stored(talker, "empty").state == "closed"
    assert talker.read(ReadHead()).due_at is None
    events = [event.type for _, event in run(talker.engine, talker.scope, ReadEvents()).events]
    assert events == ["session.opened", "session.opened", "session.expired", "session.expired"]
    talker.check()


@in_loop
async def test_a_session_is_deleted_with_its_turns_or_without(owner):
    for name in ("gone", "kept"):
        await owner.bank.perform(OpenSession(f"o-{name}", name))
        await say(owner, f"{name} one", op=f"1-{name}", session=name)
        await say(owner, f"{name} two", op=f"2-{name}", session=name)
    assert (await owner.bank.perform(DeleteSession("d1", "gone"))).units_deleted == 2
    assert (await owner.bank.perform(DeleteSession("d2", "kept", keep_memory=True))).units_deleted == 0
    assert set(owner.units()) == {"kept one", "kept two"}
    assert owner.text("kept") == "kept one\nkept two"
    assert owner.read(ListRecords(RecordKind.SESSION, 10)).total == 0
    assert owner.read(ListRecords(RecordKind.SESSION_PART, 10)).total == 0
    owner.check()
    for command in (DeleteSession("d3", "gone"), CloseSession("c", "gone"), AppendTurns("a", "gone", user("x"))):
        with pytest.raises(NotFound):
            await owner.bank.perform(command)
    with pytest.raises(Conflict, match="document"):
        await owner.bank.perform(OpenSession("again", "kept"))
    await owner.bank.perform(OpenSession("again-2", "gone"))
    await say(owner, "anew", op="anew", session="gone")
    assert owner.text("gone") == "anew"
    owner.check()


@pytest.mark.parametrize("keep_memory", [False, True])
@in_loop
async def test_a_deletion_whose_answer_was_lost_is_answered_again(owner, keep_memory):
    await owner.bank.perform(OpenSession("o", "s"))
    await say(owner, "one", op="a")
    command = DeleteSession("d", "s", keep_memory=keep_memory)
    owner.engine.arm(SwapHead, "after", Unavailable("the answer is lost"))
    with pytest.raises(Unavailable):
        await owner.bank.perform(command)
    receipt = await owner.another().perform(command)
    assert (receipt.session_id, receipt.units_deleted) == ("s", 0 if keep_memory else 1)
    with pytest.raises(Conflict, match="another command"):
        await owner.bank.perform(DeleteSession("d", "s", keep_memory=not keep_memory))
    owner.check()


@in_loop
async def test_nobody_else_writes_to_the_document_of_an_open_session(owner):
    await owner.bank.perform(OpenSession("o", "s"))
    await say(owner, "one", op="a")
    for command in (retain(user("x"), op="r", document_id="s"), DeleteDocument("d", "s")):
        with pytest.raises(Conflict, match="open session"):
            await owner.bank.perform(command)
    with pytest.raises(Conflict, match="exists"):
        await owner.bank.perform(OpenSession("o2", "s"))
    await owner.bank.perform(OpenSession("o3", "late"))
    await owner.bank.perform(retain(user("first"), op="r2", document_id="late"))
    with pytest.raises(Conflict, match="document"):
        await say(owner, "x", op="b", session="late")
    assert (owner.text("s"), owner.text("late")) == ("one", "first")
    owner.check()


@in_loop
async def test_bounds_are_kept(talker):
    await talker.bank.perform(OpenSession("o", "s"))
    await say(talker, *(f"turn {n}" for n in range(40)), op="a")
    with pytest.raises(TooLarge, match="40 turns"):
        await say(talker, "more", op="b")
    await talker.bank.perform(OpenSession("o2", "t"))
    await say(talker, "x" * 4990, op="c", session="t")
    with pytest.raises(TooLarge, match="bytes"):
        await say(talker, "y" * 11, op="d", session="t")
    few = Owner(talker.engine.engine, policy=BankPolicy(open_sessions=1))
    await few.bank.perform(OpenSession("o", "s"))
    with pytest.raises(Conflict, match="1 open sessions"):
        await few.bank.perform(OpenSession("o2", "t"))
    assert len(talker.text("t")) == 4990
    talker.check()


@in_loop
async def test_a_deleted_bank_forgets_its_sessions(owner):
    await owner.bank.perform(OpenSession("o", "s"))
    await say(owner, "one", op="a")
    await say(owner, "two", op="b")
    await owner.bank.perform(DeleteBank("d"))
    with pytest.raises(NotFound):
        await say(owner, "three", op="c")
    await owner.bank.perform(OpenSession("o2", "s"))
    await say(owner, "anew", op="e")
    assert owner.text("s") == "anew"
    owner.check()


@in_loop
async def test_an_audit_finds_an_open_session_whose_bank_is_never_due(talker):
    await talker.bank.perform(OpenSession("o", "s"))
    await say(talker, "one", op="a")
    vandal = Vandal(talker.engine.engine, talker.scope)
    vandal.head(due_at=None)
    (breach,) = audit(talker.engine.engine, talker.scope)
    assert (breach.kind, breach.repairable, "'s' waits" in breach.what) == (BreachKind.DUE, True, True)
    await talker.another("r").perform(RepairBank("repair"))
    assert talker.read(ReadHead()).due_at is not None
    talker.check()
