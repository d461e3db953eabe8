"""Directives and mental models in a bank: put, refreshed, edited, due, retracted; over the reference store."""

from datetime import timedelta

import pytest

from memory.commands import DeleteBank, DeleteDocument, RepairBank
from memory.errors import Conflict, NotFound, Unavailable
from memory.mental_models import MAX_ATTEMPTS, MentalModel, decode_model
from memory.policy import BankPolicy
from memory.records import RecordKind
from memory.reflect_commands import (
    ClearModel,
    DeleteDirective,
    DeleteModel,
    PutDirective,
    PutModel,
    RefreshModel,
)
from memory.store_calls import GetRecords, ListRecords, ReadHead, SwapHead
from storage.reference_store import ReferenceStore
from tests.support.bank_owner import user
from tests.support.bank_state import check_bank
from tests.support.builders import DIM
from tests.support.loops import in_loop
from tests.support.planting import audit
from tests.support.reflecting import ReflectingOwner

POLICY = BankPolicy(refresh_quiet_s=10.0, refresh_interval_s=60.0, refresh_lease_s=300.0)


@pytest.fixture
def bank(llm) -> ReflectingOwner:
    return ReflectingOwner(ReferenceStore(DIM), llm, policy=POLICY)


async def put(bank, op="p", model_id="tea", **fields) -> MentalModel:
    given = {"name": "Tea", "source_query": "What about tea?", **fields}
    made = await bank.bank.perform(PutModel(op, model_id, given, create=True))
    await bank.bank.refreshes.rest()
    return made


def model(bank, model_id="tea") -> MentalModel:
    return decode_model(bank.read(GetRecords(RecordKind.MENTAL_MODEL, (model_id,)))[model_id])


def versions(bank) -> list[str]:
    page = bank.read(ListRecords(RecordKind.MODEL_VERSION, 100))
    return [record.body["content"] for record in page.records if record.status != "removed"]


def operation(bank, op):
    return bank.read(GetRecords(RecordKind.OPERATION, (op,)))[op]


async def settle(bank) -> None:
    await bank.bank.settle()
    await bank.bank.refreshes.rest()


@in_loop
async def test_directives_are_put_changed_deleted_once_each(bank):
    put_it = PutDirective("d1", "x", {"name": "n", "content": "c"}, create=True)
    made = await bank.bank.perform(put_it)
    assert await bank.bank.perform(put_it) == made, "sent again"
    with pytest.raises(Conflict):
        await bank.bank.perform(PutDirective("d2", "x", {"name": "n", "content": "c"}, create=True))
    changed = await bank.bank.perform(PutDirective("d3", "x", {"priority": 7, "active": False}))
    assert (changed.priority, changed.active, changed.content) == (7, False, "c")
    delete = DeleteDirective("d4", "x")
    await bank.bank.perform(delete)
    await bank.bank.perform(delete)
    with pytest.raises(NotFound):
        await bank.bank.perform(DeleteDirective("d5", "x"))
    with pytest.raises(NotFound):
        await bank.bank.perform(PutDirective("d6", "x", {"priority": 1}))
    assert bank.read(ReadHead()).counters.get("directives") is None
    bank.check()


@in_loop
async def test_a_model_is_made_from_its_question_and_read_first_by_reflections(bank, llm):
    await bank.retain(user("Green tea is served at four."))
    await put(bank)
    made = model(bank)
    assert "Green tea" in made.content
    assert (made.version, made.pending, made.answered) == (1, None, "What about tea?")
    assert operation(bank, "p").status == "completed"
    done = await bank.reflect("Is there tea?")
    assert [piece.id for piece in done.based_on if piece.kind == "mental_model"] == ["tea"]
    assert done.tools[0].call.tool == "search_mental_models"
    excluded = await bank.reflect("Is there tea?", excluded_mental_models=("tea",))
    assert not [piece for piece in excluded.seen if piece.kind == "mental_model"]
    bank.check()


@in_loop
async def test_commands_are_done_once_and_wrong_ones_refused(bank):
    made = await put(bank)
    assert (await bank.bank.perform(PutModel("p", "tea", {}, create=True))).id == made.id
    with pytest.raises(Conflict):
        await put(bank, "q")
    for command in (DeleteModel("a", "no"), ClearModel("b", "no"), RefreshModel("c", "no"), PutModel("e", "no", {})):
        with pytest.raises(NotFound):
            await bank.bank.perform(command)
    await bank.bank.perform(DeleteModel("f", "tea"))
    await bank.bank.perform(DeleteModel("f", "tea"))
    assert bank.read(ReadHead()).counters.get("mental_models") is None
    bank.check()


@in_loop
async def test_a_full_refresh_keeps_the_former_content_and_clear_empties_it(bank):
    await bank.retain(user("Green tea is served at four."))
    await put(bank)
    first = model(bank).content
    await bank.retain(user("Black tea about noon, what about that tea?"), document_id="e", op="2")
    await bank.bank.perform(RefreshModel("r", "tea"))
    await bank.bank.refreshes.rest()
    second = model(bank)
    assert second.version == 2
    assert second.content != first
    assert versions(bank) == [first]
    await bank.bank.perform(ClearModel("c", "tea"))
    assert (model(bank).content, model(bank).seen_seq) == ("", 0)
    assert sorted(versions(bank)) == sorted([first, second.content])
    await bank.bank.perform(DeleteModel("d", "tea"))
    assert versions(bank) == []
    bank.check()


@in_loop
async def test_a_delta_edits_and_falls_back_and_does_nothing_for_nothing(bank, llm):
    await bank.retain(user("Green tea is served at four."))
    await put(bank, trigger={"mode": "delta"})
    first = model(bank).content
    asked = len(llm.requests)
    await bank.bank.perform(RefreshModel("r1", "tea"))
    await bank.bank.refreshes.rest()
    assert (len(llm.requests), model(bank).content) == (asked, first), "nothing new: no call"
    assert operation(bank, "r1").status == "completed"
    await bank.retain(user("Black tea is served at noon."), document_id="e", op="2")
    await bank.bank.perform(RefreshModel("r2", "tea"))
    await bank.bank.refreshes.rest()
    assert len(llm.requests) == asked + 1
    after = model(bank).content
    assert after.endswith(first), "what no edit names stays"
    assert "Black tea" in after
    await bank.bank.perform(PutModel("p2", "tea", {"source_query": "Is there coffee?"}))
    run = await bank.refresher.refresh(bank.scope, model(bank), "delta")
    assert (run.result.mode, run.fallback) == ("full", "the source query has changed")


@in_loop
async def test_content_goes_with_what_it_rests_on_and_is_made_again(bank, llm):
    await bank.retain(user("The secret tea is oolong."), document_id="secret", op="1")
    await bank.retain(user("Green tea is served at four."), document_id="open", op="2")
    await put(bank)
    await put(bank, "p2", "other", source_query="Nothing of this kind at all", trigger={"exclude_mental_models": True})
    assert "oolong" in model(bank).content
    await bank.bank.perform(RefreshModel("r", "tea"))
    await bank.bank.refreshes.rest()
    llm.behave(down=True)
    await bank.bank.perform(DeleteDocument("del", "secret"))
    lost = model(bank)
    assert (lost.content, lost.lost, lost.reflection) == ("", True, None)
    stored = str(
        [bank.read(ListRecords(kind, 100)).records for kind in (RecordKind.MENTAL_MODEL, RecordKind.MODEL_VERSION)]
    )
    assert "oolong" not in stored, "delete means delete"
    assert lost.pending is not None
    assert bank.read(ReadHead()).due_at <= bank.clock.now()
    llm.behave(down=False)
    await settle(bank)
    again = model(bank)
    assert "Green tea" in again.content
    assert (again.lost, again.pending) == (False, None)
    bank.check()


@in_loop
async def test_a_model_that_follows_is_refreshed_once_the_bank_is_quiet_and_not_too_often(bank):
    await put(bank, trigger={"refresh_after_consolidation": True})
    await settle(bank)
    version = model(bank).version
    await bank.retain(user("Green tea is served at four."))
    due = bank.read(ReadHead()).due_at
    assert timedelta(0) < due - bank.clock.now() <= timedelta(seconds=10)
    bank.clock.pass_by(120.0)
    await settle(bank)
    assert "Green tea" in model(bank).content
    assert model(bank).version == version + 1
    await bank.retain(user("Black tea is served at noon."), document_id="e", op="2")
    bank.clock.pass_by(11.0)
    await settle(bank)
    assert "Black" not in model(bank).content, "refreshed a moment ago"
    assert bank.read(ReadHead()).due_at > bank.clock.now()
    bank.clock.pass_by(120.0)
    await settle(bank)
    assert "Black" in model(bank).content
    bank.clock.pass_by(1000.0)
    await settle(bank)
    assert bank.read(ReadHead()).due_at is None, "nothing is due while nothing comes"
    bank.check()


@in_loop
async def test_a_schedule_refreshes_where_something_is_new_and_moves_on(bank, llm):
    await bank.retain(user("Green tea is served at four."))
    await put(bank, trigger={"refresh_cron": "0 * * * *"})
    asked = len(llm.requests)
    for _ in range(2):
        bank.clock.pass_by(3600.0)
        await settle(bank)
    assert len(llm.requests) == asked, "nothing is new"
    assert model(bank).cron_at > bank.clock.now()
    await bank.retain(user("Black tea is served at noon."), document_id="e", op="2")
    bank.clock.pass_by(3600.0)
    await settle(bank)
    assert "Black" in model(bank).content
    bank.clock.pass_by(POLICY.refresh_lease_s + 1)
    await settle(bank)
    assert bank.read(ReadHead()).due_at == model(bank).cron_at


@in_loop
async def test_a_refresh_that_fails_is_tried_again_later_and_given_up(bank, llm):
    await bank.retain(user("Green tea is served at four."))
    llm.behave(rates={"prose": 1.0})
    await put(bank)
    failed = model(bank)
    assert failed.pending is not None
    assert failed.pending.attempts == 1
    assert "could not be read" in failed.failure
    assert operation(bank, "p").body["error_message"]
    for _ in range(MAX_ATTEMPTS):
        bank.clock.pass_by(2000.0)
        await settle(bank)
    assert model(bank).pending is None
    assert operation(bank, "p").status == "failed"
    llm.behave(rates={})
    await bank.bank.perform(RefreshModel("r", "tea"))
    await bank.bank.refreshes.rest()
    assert "Green tea" in model(bank).content


@in_loop
async def test_another_owner_goes_on_with_a_refresh_that_was_lost(bank, llm):
    await bank.retain(user("Green tea is served at four."))
    llm.behave(down=True)
    await put(bank)
    llm.behave(down=False)
    bank.clock.pass_by(100.0)
    other = bank.another("later")
    await other.settle()
    await other.refreshes.rest()
    assert "Green tea" in model(bank).content
    bank.check()


@in_loop
async def test_without_a_language_model_it_quotes_and_says_so():
    bank = ReflectingOwner(ReferenceStore(DIM), policy=POLICY)
    await bank.retain(user("Green tea is served at four."))
    await put(bank)
    made = model(bank)
    assert "No language model" in made.content
    assert "Green tea" in made.content
    assert made.reflection["mode"] == "extractive"


@in_loop
async def test_a_bank_that_is_deleted_has_none_left(bank):
    await bank.retain(user("Green tea is served at four."))
    await put(bank)
    await bank.bank.perform(DeleteBank("gone"))
    page = bank.read(ListRecords(RecordKind.MENTAL_MODEL, 10))
    assert [record for record in page.records if record.status != "removed"] == []
    bank.check()


@in_loop
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_whose_answer_is_lost_is_made_once(bank, when):
    await bank.retain(user("Green tea is served at four."))
    bank.engine.arm(SwapHead, when, Unavailable("lost"))
    command = PutModel("p", "tea", {"name": "Tea", "source_query": "What about tea?"}, create=True)
    with pytest.raises(Unavailable):
        await bank.bank.perform(command)
    made = await bank.bank.perform(command)
    assert made.id == "tea"
    await bank.bank.refreshes.rest()
    assert bank.read(ReadHead()).counters["mental_models"] == 1
    bank.check()


@in_loop
async def test_a_bank_with_models_and_directives_passes_an_audit_and_a_repair_keeps_them(bank):
    await bank.retain(user("Ana drinks green tea."))
    await bank.bank.perform(PutDirective("d", "polite", {"name": "Polite", "content": "Be polite."}, create=True))
    made = await put(bank)
    assert audit(bank.engine, bank.scope) == []
    check_bank(bank.engine, bank.scope)
    await bank.bank.perform(RepairBank("repair"))
    assert audit(bank.engine, bank.scope) == []
    check_bank(bank.engine, bank.scope)
    assert model(bank).id == made.id


@in_loop
async def test_what_is_refreshed_by_itself_stays_within_the_days_tokens(llm):
    policy = BankPolicy(refresh_quiet_s=10.0, refresh_interval_s=0.0, refresh_tokens_per_day=5_000)
    bank = ReflectingOwner(ReferenceStore(DIM), llm, policy=policy)
    await bank.retain(user("Green tea is served at four."))
    for name in ("tea", "other"):
        await put(bank, f"p-{name}", name, trigger={"refresh_after_consolidation": True})
    assert (model(bank).idle_tokens, model(bank).version) == (0, 1), "what was asked for does not count"

    async def told(number: int) -> int:
        """Something new comes and a quiet moment passes; how many calls of the model that brings."""
        asked = len(llm.requests)
        await bank.retain(user(f"Tea number {number} is served."), document_id=f"d{number}", op=f"op-{number}")
        bank.clock.pass_by(61.0)
        await settle(bank)
        await settle(bank)
        return len(llm.requests) - asked

    calls = [await told(number) for number in range(12)]
    assert calls[0] == 2, "both"
    assert calls[-1] == 0, "the day's tokens are spent"
    spent = sum(model(bank, name).idle_tokens for name in ("tea", "other"))
    dearest = max(model(bank, name).reflection["usage"]["total_tokens"] for name in ("tea", "other"))
    assert 5_000 - 2 * max(dearest, 1_000) < spent <= 5_000 + 2 * dearest
    due = bank.read(ReadHead()).due_at
    assert (due.hour, due.minute) == (0, 0), "the rest waits for the next day"
    assert due > bank.clock.now()
    asked = len(llm.requests)
    await bank.bank.perform(RefreshModel("r", "tea"))
    await bank.bank.refreshes.rest()
    assert len(llm.requests) > asked, "who asks is answered"
    bank.clock.pass_by((due - bank.clock.now()).total_seconds() + 1)
    await settle(bank)
    assert model(bank, "other").idle_day == due.date().isoformat()
    bank.check()


@in_loop
async def test_refreshes_that_fail_by_themselves_count_too(llm):
    policy = BankPolicy(refresh_quiet_s=10.0, refresh_interval_s=0.0, refresh_tokens_per_day=1_000_000)
    bank = ReflectingOwner(ReferenceStore(DIM), llm, policy=policy)
    await put(bank, trigger={"refresh_after_consolidation": True})
    await bank.retain(user("Green tea is served at four."))
    llm.behave(rates={"prose": 1.0})
    bank.clock.pass_by(61.0)
    await settle(bank)
    failed = model(bank)
    assert failed.pending.attempts == 1
    assert failed.idle_tokens > 0
