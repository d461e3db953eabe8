"""The diff never trusts a record without its chunks: what a document lost is made anew from what is retained."""

import pytest

from memory.commands import DeleteDocument
from memory.filters import HasId
from memory.healing import DAMAGED, CheckDocuments, Reopen
from memory.records import RecordKind
from memory.store_calls import GetRecords, ReadHead
from storage.reference_store import ReferenceStore
from storage.run import run
from tests.support.bank_owner import Owner, user
from tests.support.builders import DIM, retain
from tests.support.loops import in_loop


async def damaged() -> Owner:
    """A bank whose document `d` lost `two`, and `e` nothing."""
    owner = Owner(ReferenceStore(DIM))
    await owner.retain(user("one", "two", "three"))
    await owner.retain(user("other"), op="op-e", document_id="e")
    lost = owner.units()["two"].id
    owner.engine.engine._drop_units(owner.scope, HasId((lost,)))
    (found,) = run(owner.engine, owner.scope, CheckDocuments(frozenset()))
    owner.bank = owner.another()
    assert (found.document_id, found.chunks) == ("d", (lost,))
    return owner


def status(owner: Owner, document_id: str = "d") -> str:
    return owner.read(GetRecords(RecordKind.DOCUMENT, (document_id,)))[document_id].status


def test_the_same_text_retained_again_brings_back_what_was_lost():
    @in_loop
    async def check():
        owner = await damaged()
        assert (status(owner), status(owner, "e")) == (DAMAGED, "live")
        owner.embedded.clear()
        receipt = await owner.retain(user("one", "two", "three"), op="again")
        assert owner.embedded == ["two"]
        assert (receipt.documents[0].added, receipt.documents[0].kept) == (1, 2)
        assert owner.text() == "one\ntwo\nthree"
        assert status(owner) == "live"
        owner.check()

    check()


@pytest.mark.parametrize("texts", [("one", "three"), ("new",), ("two", "one"), ("three", "two", "one", "two")])
def test_another_text_replaces_a_damaged_document(texts):
    @in_loop
    async def check():
        owner = await damaged()
        await owner.retain(user(*texts), op="again")
        assert owner.text() == "\n".join(texts)
        assert status(owner) == "live"
        owner.check()

    check()


def test_a_damaged_document_that_is_appended_to_stays_damaged_until_it_is_replaced():
    @in_loop
    async def check():
        owner = await damaged()
        await owner.retain(user("four"), op="append", update_mode="append")
        assert status(owner) == DAMAGED
        assert owner.text() == "one\n<lost>\nthree\n\nfour".replace("\n\n", "\n")
        await owner.retain(user("one", "two", "three", "four"), op="again")
        assert status(owner) == "live"
        owner.check()

    check()


def test_a_damaged_document_can_be_deleted():
    @in_loop
    async def check():
        owner = await damaged()
        await owner.bank.perform(DeleteDocument("del", "d"))
        assert list(owner.units()) == ["other"]
        owner.check()

    check()


def test_an_owner_that_outlived_its_store_takes_the_bank_anew_when_it_is_due():
    @in_loop
    async def check():
        owner = Owner(ReferenceStore(DIM))
        await owner.retain(user("one"))
        before = owner.read(ReadHead()).epoch
        await owner.bank.settle()
        assert owner.read(ReadHead()).epoch == before, "nothing happened: the activation stays"
        run(owner.engine, owner.scope, Reopen("n", units_lost=True))
        assert owner.read(ReadHead()).due_at is not None
        await owner.bank.settle()
        head = owner.read(ReadHead())
        assert (head.epoch, head.due_at, head.settled) == (before + 2, None, head.commit)
        await owner.retain(user("one", "two"), op="next")
        owner.check()

    check()


def test_an_owner_that_outlived_its_store_is_refused_once_and_then_goes_on():
    @in_loop
    async def check():
        from memory.errors import StaleEpoch

        owner = Owner(ReferenceStore(DIM))
        await owner.retain(user("one"))
        run(owner.engine, owner.scope, Reopen("n", units_lost=True))
        with pytest.raises(StaleEpoch):
            await owner.retain(user("two"), op="next")
        await owner.retain(user("two"), op="next")
        assert owner.text() == "two"
        owner.check()

    check()


def test_equal_operations_are_answered_from_the_record_whatever_is_damaged():
    @in_loop
    async def check():
        owner = await damaged()
        again = await owner.bank.perform(retain(user("one", "two", "three")))
        assert again.replayed

    check()
