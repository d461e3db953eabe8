"""Our own client and the server agree on paths, bodies and errors."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from actors.settings import Settings
from lorebank import AsyncClient, InvalidRequestError, NotFoundError
from serve_app.api import build_api
from tests.support.fake_bank_client import FakeBankClient

BANK = "team/ü 1"


def run(settings: Settings, talk: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def main() -> None:
        app = build_api(FakeBankClient(settings), settings)
        async with AsyncClient("http://lorebank", http=httpx.ASGITransport(app)) as client:
            await talk(client)

    asyncio.run(main())


def test_every_method(settings: Settings) -> None:
    async def talk(client: AsyncClient) -> None:
        assert (await client.put_bank(BANK, name="Team", mission="help")).mission == "help"
        receipt = await client.retain(BANK, "Alice drinks tea.", document_id="d/1", tags=["food"])
        assert receipt.items_count == 1
        await client.retain_many(BANK, [{"content": "one"}, {"content": "two"}])
        assert (await client.recall(BANK, "tea", include={"chunks": {}})).chunks
        assert (await client.reflect(BANK, "tea?")).mode == "extractive"
        assert [found["text"] for found in await client.search_memory(BANK, "tea", limit=1)] == ["Alice drinks tea."]
        assert (await client.add_memory(BANK, [{"role": "user", "content": "hi"}], {"n": 1})) is not None
        assert (await client.get_profile(BANK)).name == "Team"
        assert [bank.bank_id for bank in (await client.list_banks()).banks] == [BANK]
        assert (await client.stats(BANK)).total_documents == 4
        units = await client.list_memories(BANK, tags=["food"], tags_match="any_strict")
        assert (await client.get_memory(BANK, units.items[0].id)).document_id == "d/1"
        assert (await client.list_documents(BANK)).total == 4
        assert (await client.get_document(BANK, "d/1")).original_text == "Alice drinks tea."
        assert (await client.list_chunks(BANK, "d/1")).total == 1
        operations = await client.list_operations(BANK)
        assert (await client.get_operation(BANK, operations.operations[0].id)).status == "completed"
        assert (await client.list_entities(BANK)).total == 0
        assert (await client.list_tags(BANK, q="Foo*")).items[0].count == 1
        assert (await client.version()).features.mcp is False
        assert (await client.health()).status == (await client.ready()).status == "healthy"
        assert (await client.delete_document(BANK, "d/1")).memory_units_deleted == 1
        assert (await client.delete_bank(BANK)).success
        await client.retain("other", "Bob drinks tea.")
        with pytest.raises(InvalidRequestError, match="confirm"):
            await client.delete_banks("somebody else's")
        gone = await client.delete_banks("default")
        assert (gone.deleted_banks, gone.left, (await client.list_banks()).banks) == (1, 0, [])

    run(settings, talk)


def test_errors(settings: Settings) -> None:
    async def talk(client: AsyncClient) -> None:
        with pytest.raises(NotFoundError):
            await client.get_document(BANK, "none")
        with pytest.raises(NotFoundError):
            await client.get_entity(BANK, "none")
        with pytest.raises(InvalidRequestError) as refused:
            await client.recall(BANK, "tea", query_timestamp="soon")
        assert refused.value.status == 400
        assert "query_timestamp" in refused.value.problem.detail

    run(settings, talk)
