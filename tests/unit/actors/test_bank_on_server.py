"""A whole Bank and a reader over the server's store itself, asynchronously, on the client's own engine."""

import asyncio
from datetime import UTC, datetime

import pytest

from actors.bank import Bank
from actors.placement import ensure_ring, load_ring
from actors.reader import Reader
from actors.settings import load_settings
from memory.commands import DeleteBank, DeleteDocument, UpdateBank
from memory.errors import NotFound, StaleEpoch
from memory.filters import AnyOf
from memory.query import understand
from memory.recall import RecallQuery, answer, plan_candidates
from memory.store_calls import GetUnits, ListUnits, ReadHead
from storage.server_client import LOCAL, ServerSettings
from storage.server_store import ServerStore
from tests.support.bank_owner import user
from tests.support.bank_process import bank_ports
from tests.support.builders import embedding, fresh_scope, retain
from tests.support.loops import in_loop
from tests.support.server_engine import SPACE


def bank_on(store: ServerStore, scope, name: str = "n") -> Bank:
    return Bank(scope, bank_ports(store, name), mailbox_commands=64)


async def recalled(store: ServerStore, scope, query: str, **fields) -> list[str]:
    wanted, understood = RecallQuery(query, **fields), understand(query, ())
    found = await store.perform(scope, plan_candidates(wanted, understood, embedding(query)))
    return [result.payload["text"] for result in answer(wanted, understood, found).results]


@in_loop
async def test_a_document_is_retained_replaced_and_deleted():
    store, scope = ServerStore(ServerSettings(LOCAL), SPACE), fresh_scope()
    bank = bank_on(store, scope)
    await bank.perform(
        retain(user("The red bicycle is in the garden.", "Apples taste of autumn."), op="a", tags=("x",))
    )
    assert (await recalled(store, scope, "where is the bicycle"))[0] == "The red bicycle is in the garden."
    assert await recalled(store, scope, "bicycle", where=AnyOf("tags", ("y",))) == []
    receipt = await bank.perform(retain(user("The blue bicycle is in the shed."), op="b"))
    assert (receipt.documents[0].version, receipt.documents[0].retired) == (2, 2)
    assert await recalled(store, scope, "where is the bicycle") == ["The blue bicycle is in the shed."]
    again = await bank.perform(retain(user("The blue bicycle is in the shed."), op="b"))
    assert again.replayed
    await bank.perform(DeleteDocument("c", "d"))
    assert await recalled(store, scope, "bicycle") == []
    with pytest.raises(NotFound):
        await bank.perform(DeleteDocument("e", "d"))
    await bank.perform(DeleteBank("f"))
    assert not (await store.perform(scope, ReadHead())).exists
    await store.close()


@in_loop
async def test_many_writers_of_one_bank_lose_nothing():
    store, scope = ServerStore(ServerSettings(LOCAL), SPACE), fresh_scope()
    bank = bank_on(store, scope)
    contents = [user(f"turn number {number}") for number in range(20)]
    await asyncio.gather(
        *(bank.perform(retain(content, op=f"op-{n}", document_id=f"d-{n}")) for n, content in enumerate(contents))
    )
    units = (await store.perform(scope, ListUnits(100))).units
    assert {unit.text for unit in units} == {f"turn number {number}" for number in range(20)}
    await store.close()


@in_loop
async def test_a_former_owner_in_another_process_is_refused_by_the_head():
    store, scope = ServerStore(ServerSettings(LOCAL), SPACE), fresh_scope()
    first, second = bank_on(store, scope, "first"), bank_on(store, scope, "second")
    await first.perform(retain(user("one"), op="a"))
    await second.perform(retain(user("two"), op="b", document_id="e"))
    with pytest.raises(StaleEpoch):
        await first.perform(retain(user("three"), op="c", document_id="f"))
    texts = {unit.text for unit in (await store.perform(scope, ListUnits(10))).units}
    assert texts == {"one", "two"}
    await first.perform(retain(user("three"), op="c", document_id="f"))  # having taken the bank again
    assert (await store.perform(scope, ListUnits(10))).total == 3
    await store.close()


@in_loop
async def test_what_is_read_beside_the_banks_is_there():
    store, scope = ServerStore(ServerSettings(LOCAL), SPACE), fresh_scope()
    await bank_on(store, scope).perform(retain(user("one", "two")))
    await bank_on(store, fresh_scope()).perform(UpdateBank("a", {"mission": "m"}))
    page = await store.list_heads(scope.tenant, 10, 0)
    assert [name for name, _ in page.banks] == [scope.bank]
    unit = (await store.perform(scope, ListUnits(1))).units[0]
    assert await store.find_unit(scope.tenant, unit.id) == (scope, unit)
    assert await store.find_unit(f"{scope.tenant}2", unit.id) is None
    assert await store.perform(fresh_scope(scope.tenant), GetUnits((unit.id,))) == {}
    assert await store.list_due(datetime.max.replace(tzinfo=UTC), 10) == ()
    ring = await ensure_ring(store, ("bank-host-0",))
    assert await load_ring(store) == ring
    await store.close()


@in_loop
async def test_the_reader_recalls_from_it(tmp_path):
    store, scope = ServerStore(ServerSettings(LOCAL), SPACE), fresh_scope()
    await bank_on(store, scope).perform(retain(user("The red bicycle is in the garden.")))
    reader = Reader(store, load_settings(embedder="hash", embedding_dim=SPACE.dim, data=tmp_path))
    found = await reader.recall(scope, RecallQuery("red bicycle"))
    assert [result.payload["text"] for result in found.results] == ["The red bicycle is in the garden."]
    assert (await reader.recall(fresh_scope(), RecallQuery("red bicycle"))).results == ()
    await store.close()
