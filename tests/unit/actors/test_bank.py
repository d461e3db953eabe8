"""The Bank over the real embedded store, without Ray."""

import asyncio

import pytest

from memory import protocol
from memory.commands import DeleteBank, DeleteDocument, Item, Retain, UpdateBank
from memory.errors import Conflict, NotFound, Overloaded, StaleEpoch, Unavailable, Unprocessable
from memory.ids import Scope
from memory.records import RecordKind
from memory.store_calls import (
    GetDense,
    GetUnits,
    InsertUnits,
    ListRecords,
    ListUnits,
    ReadHead,
    RetireUnits,
    SetLive,
)
from tests.support.bank_owner import Owner, user
from tests.support.bank_process import embed
from tests.support.bank_state import read_bank
from tests.support.builders import retain
from tests.support.loops import idle, in_loop

# -- retain


@in_loop
async def test_what_is_acknowledged_is_found_by_the_next_recall(owner):
    receipt = await owner.retain(user("The red bicycle is in the garden.", "Apples taste of autumn."))
    assert owner.recall("where is the bicycle")[0] == "The red bicycle is in the garden."
    (document,) = receipt.documents
    assert (document.document_id, document.version, document.added, document.kept) == ("d", 1, 2, 0)
    assert receipt.tokens == 11
    assert not receipt.replayed
    owner.check()


@in_loop
async def test_unchanged_chunks_are_neither_embedded_nor_written_again(owner):
    await owner.retain(user("one", "two", "three"))
    before = owner.units()
    owner.embedded.clear()
    receipt = await owner.retain(user("one", "new", "three"), op="op-2")
    assert owner.embedded == ["new"]
    after = owner.units()
    assert {text: after[text] for text in ("one", "three")} == {text: before[text] for text in ("one", "three")}
    assert set(after) == {"one", "new", "three"}
    (document,) = receipt.documents
    assert (document.version, document.added, document.kept, document.retired) == (2, 1, 2, 1)
    owner.check()


@in_loop
async def test_the_same_document_again_embeds_nothing_and_inserts_nothing(owner):
    await owner.retain(user("one", "two"))
    owner.embedded.clear()
    before, calls = owner.units(), []
    real = owner.engine.engine.call
    owner.engine.call = lambda scope, call: calls.append(call) or real(scope, call)
    await owner.retain(user("one", "two"), op="op-2")
    assert owner.embedded == []
    assert owner.units() == before
    assert not [call for call in calls if isinstance(call, InsertUnits | SetLive | RetireUnits | GetDense)]


@in_loop
async def test_changed_tags_take_the_stored_vector_along(owner):
    await owner.retain(user("one", "two"), tags=("x",))
    old = owner.read(GetDense((owner.units()["one"].id,)))
    owner.embedded.clear()
    receipt = await owner.retain(user("one", "two"), op="op-2", tags=("y",))
    assert owner.embedded == []
    unit = owner.units()["one"]
    assert unit.tags == ("y",)
    assert unit.id not in old
    assert owner.read(GetDense((unit.id,)))[unit.id] == pytest.approx(next(iter(old.values())), abs=1e-6)
    assert receipt.documents[0].retired == 2
    owner.check()


@in_loop
async def test_equal_texts_of_one_request_are_embedded_once(owner):
    await owner.retain(user("yes", "yes"), user("yes"))
    assert owner.embedded == ["yes"]
    assert owner.read(ListUnits(10)).total == 3


@in_loop
async def test_appending_goes_on_where_the_document_ends(owner):
    await owner.retain(user("one"))
    await owner.retain(user("two"), op="op-2", update_mode="append")
    assert owner.text() == "one\ntwo"
    owner.check()


@in_loop
async def test_a_request_that_contradicts_itself_changes_nothing_and_keeps_the_activation(owner):
    await owner.retain(user("one"))
    epoch = owner.read(ReadHead()).epoch
    with pytest.raises(Unprocessable):
        await owner.retain(" ", op="op-2")
    await owner.retain(user("two"), op="op-3")
    assert owner.read(ReadHead()).epoch == epoch
    await idle()
    assert owner.bank.idle


# -- once


@in_loop
async def test_an_operation_id_sent_again_is_answered_and_not_done_again(owner):
    first = await owner.retain(user("one"), op="same", update_mode="append")
    again = await owner.retain(user("one"), op="same", update_mode="append")
    assert again.replayed
    assert (again.seq, again.documents, again.tokens) == (first.seq, first.documents, first.tokens)
    assert owner.text() == "one"


@in_loop
async def test_another_owner_knows_the_operation_too(owner):
    first = await owner.retain(user("one"), op="same", update_mode="append")
    again = await owner.another().perform(retain(user("one"), op="same", update_mode="append"))
    assert (again.replayed, again.documents) == (True, first.documents)


@in_loop
async def test_the_same_operation_sent_twice_at_once_is_done_once(owner):
    command = retain(user("one"), op="same", update_mode="append")
    receipts = await asyncio.gather(*(owner.bank.perform(command) for _ in range(5)))
    assert sorted(receipt.replayed for receipt in receipts) == [False, True, True, True, True]
    assert owner.text() == "one"


@pytest.mark.parametrize("other", [retain(user("two"), op="same"), DeleteDocument("same", "d")])
def test_an_operation_id_of_another_command_is_a_conflict(edge, other):
    @in_loop
    async def run():
        owner = Owner(edge)
        await owner.retain(user("one"), op="same")
        with pytest.raises(Conflict, match="same"):
            await owner.bank.perform(other)
        assert owner.text() == "one"

    run()


# -- delete


@in_loop
async def test_deleting_a_document_twice_says_the_same_once_and_then_that_there_is_none(owner):
    await owner.retain(user("one", "two"))
    receipt = await owner.bank.perform(DeleteDocument("del", "d"))
    assert (receipt.units_deleted, receipt.documents_deleted) == (2, 1)
    assert await owner.bank.perform(DeleteDocument("del", "d")) == receipt
    with pytest.raises(NotFound, match="'d'"):
        await owner.bank.perform(DeleteDocument("del-2", "d"))
    assert owner.read(ListUnits(10)).total == 0
    assert owner.recall("one") == []
    owner.check()
    await owner.retain(user("one"), op="op-2")
    assert owner.text() == "one"
    owner.check()


@in_loop
async def test_a_deleted_bank_is_empty_and_can_be_filled_again(owner):
    await owner.retain(user("one", "two"))
    await owner.bank.perform(UpdateBank("u", {"mission": "m"}))
    before = owner.read(ReadHead())
    receipt = await owner.bank.perform(DeleteBank("del"))
    assert (receipt.units_deleted, receipt.documents_deleted) == (2, 1)
    head = owner.read(ReadHead())
    assert (head.exists, head.deleted, head.profile) == (False, True, {})
    assert owner.engine.list_heads(owner.scope.tenant, 10, 0).total == 0
    for kind in (RecordKind.DOCUMENT, RecordKind.OPERATION, RecordKind.RECALL_PROFILE):
        assert owner.read(ListRecords(kind, 10)).total == 0
    again = await owner.retain(user("one"))
    assert not again.replayed
    assert again.documents[0].version == 1
    assert again.seq > before.seq
    assert owner.read(ReadHead()).epoch == before.epoch
    owner.check()


@in_loop
async def test_deleting_a_bank_that_does_not_exist_deletes_nothing(owner):
    receipt = await owner.bank.perform(DeleteBank("del"))
    assert (receipt.units_deleted, receipt.documents_deleted) == (0, 0)
    assert not owner.read(ReadHead()).exists


@in_loop
async def test_updating_makes_the_bank_and_answers_with_its_head(owner):
    head = await owner.bank.perform(UpdateBank("u", {"mission": "m"}))
    assert (head.exists, head.profile) == (True, {"mission": "m"})
    assert head == owner.read(ReadHead())


# -- many at once


@in_loop
async def test_twenty_writers_of_one_document_get_twenty_versions_and_the_last_one_stays(owner):
    commands = [retain(user("shared", f"version of writer {n}"), op=f"op-{n}") for n in range(20)]
    receipts = await asyncio.gather(*(owner.bank.perform(command) for command in commands))
    versions = [receipt.documents[0].version for receipt in receipts]
    assert versions == list(range(1, 21)), "turns are taken in the order of arrival"
    assert sorted(receipt.seq for receipt in receipts) == [receipt.seq for receipt in receipts]
    assert owner.text() == "shared\nversion of writer 19"
    owner.check()


@in_loop
async def test_twenty_appends_at_once_lose_nothing(owner):
    commands = [retain(user(f"turn {n}"), op=f"op-{n}", update_mode="append") for n in range(20)]
    await asyncio.gather(*(owner.bank.perform(command) for command in commands))
    assert owner.text() == "\n".join(f"turn {n}" for n in range(20))
    owner.check()


@in_loop
async def test_a_command_prepared_quickly_does_not_overtake_a_slow_one(edge):
    gate = asyncio.Event()

    async def slow_for_slow(texts):
        if "slow" in texts:
            await gate.wait()
        return await embed(texts)

    owner = Owner(edge, embedder=slow_for_slow)
    slow = asyncio.ensure_future(owner.retain(user("slow"), op="a"))
    await idle()
    quick = asyncio.ensure_future(owner.retain(user("quick"), op="b"))
    await idle(100)
    assert owner.embedded == ["slow", "quick"], "both are prepared beside each other"
    assert not quick.done()
    gate.set()
    assert (await slow).documents[0].version == 1
    assert (await quick).documents[0].version == 2
    assert owner.text() == "quick"


@in_loop
async def test_more_commands_than_may_wait_are_refused_and_leave_nothing(edge):
    gate = asyncio.Event()

    async def gated(texts):
        await gate.wait()
        return await embed(texts)

    owner = Owner(edge, mailbox=2, embedder=gated)
    accepted = [asyncio.ensure_future(owner.retain(user(f"text {n}"), op=f"op-{n}")) for n in range(2)]
    await idle()
    with pytest.raises(Overloaded):
        await owner.retain(user("too many"), op="op-3")
    gate.set()
    await asyncio.gather(*accepted)
    await idle()
    assert owner.bank.idle
    assert read_bank(owner.engine, owner.scope).operations == {"op-0", "op-1"}
    await owner.retain(user("now"), op="op-3")
    owner.check()


@in_loop
async def test_a_caller_that_gives_up_while_waiting_leaves_nothing_and_the_rest_goes_on(edge):
    gate = asyncio.Event()

    async def gated(texts):
        await gate.wait()
        return await embed(texts)

    owner = Owner(edge, embedder=gated)
    calls = [asyncio.ensure_future(owner.retain(user(f"text {n}"), op=f"op-{n}")) for n in range(3)]
    await idle()
    calls[1].cancel()
    gate.set()
    await asyncio.gather(calls[0], calls[2])
    assert read_bank(owner.engine, owner.scope).operations == {"op-0", "op-2"}
    owner.check()


@in_loop
async def test_an_embedder_that_fails_refuses_its_command_only(edge):
    async def fails_for_bad(texts):
        if "bad" in texts:
            raise Unavailable("no embedder")
        return await embed(texts)

    owner = Owner(edge, embedder=fails_for_bad)
    outcomes = await asyncio.gather(
        owner.retain(user("bad"), op="a"), owner.retain(user("good"), op="b"), return_exceptions=True
    )
    assert isinstance(outcomes[0], Unavailable)
    assert owner.text() == "good"
    await idle()
    assert owner.bank.idle
    owner.check()


# -- owners


@in_loop
async def test_a_former_owner_is_refused_and_takes_the_bank_again_with_its_next_command(owner):
    await owner.retain(user("one"))
    other = owner.another()
    await other.perform(retain(user("two"), op="op-2"))
    with pytest.raises(StaleEpoch):
        await owner.retain(user("three"), op="op-3")
    assert owner.text() == "two"
    await owner.retain(user("three"), op="op-3")
    assert owner.text() == "three"
    with pytest.raises(StaleEpoch):
        await other.perform(UpdateBank("u", {}))
    await other.perform(UpdateBank("u", {}))
    owner.check()


@in_loop
async def test_an_owners_settings_are_not_lost_by_another(owner):
    await owner.bank.perform(UpdateBank("u", {"a": 1}))
    await owner.another().perform(UpdateBank("v", {"b": 2}))
    assert owner.read(ReadHead()).profile == {"a": 1, "b": 2}


@in_loop
async def test_a_new_owner_starts_a_new_block_of_seqs(owner):
    first = await owner.retain(user("one"))
    second = await owner.another().perform(retain(user("two"), op="op-2"))
    assert second.seq > first.seq
    head = owner.read(ReadHead())
    assert head.seq < head.seq_end


@in_loop
async def test_a_long_history_is_trimmed_and_the_rest_kept(owner, monkeypatch):
    monkeypatch.setattr(protocol, "HISTORY_COMMITS", 4)
    for number in range(10):
        await owner.retain(user(f"text {number}"), op=f"op-{number}")
        owner.engine.flush()  # what is not on disk yet is not trimmed
    numbers = [record.order for record in owner.read(ListRecords(RecordKind.COMMIT, 100)).records]
    assert numbers == [10, 9, 8, 7, 6, 5]
    assert owner.read(ListRecords(RecordKind.OPERATION, 100)).total == 10
    owner.check()


@in_loop
async def test_units_of_many_documents_are_written_in_slices(owner):
    items = tuple(Item(user(f"text {n}"), document_id=f"d{n}") for n in range(150))
    receipt = await owner.bank.perform(Retain("op", items))
    assert len(receipt.documents) == 150
    assert owner.read(ListUnits(1)).total == 150
    assert len(owner.read(GetUnits(tuple(unit.id for unit in owner.units().values())))) == 150
    owner.check()


def test_banks_of_one_host_do_not_share_anything(edge):
    @in_loop
    async def run():
        one, other = Owner(edge), Owner(edge)
        other.scope = Scope(one.scope.tenant, other.scope.bank)
        other.bank = other.another("o")
        await asyncio.gather(one.retain(user("mine")), other.retain(user("theirs")))
        assert (one.text(), other.text()) == ("mine", "theirs")
        one.check()
        other.check()

    run()
