"""Stored reflections over HTTP, with our own client: over real banks in this process."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from actors.settings import Settings
from lorebank import AsyncClient, ConflictError, NotFoundError
from serve_app.api import build_api
from tests.support.builders import DIM
from tests.support.http_calls import Http
from tests.support.local_client import recalling_client

BANK = "/v1/default/banks/alice"


def run(settings: Settings, talk: Callable[[AsyncClient], Awaitable[None]]) -> None:
    async def main() -> None:
        app = build_api(recalling_client(settings), settings)
        async with AsyncClient("http://lorebank", http=httpx.ASGITransport(app)) as client:
            await talk(client)

    asyncio.run(main())


@pytest.fixture
def settings() -> Settings:
    return Settings(request_timeout_s=5.0, embedder="hash", embedding_dim=DIM)


def test_an_answer_is_kept_and_sent_again_it_is_the_same(settings: Settings) -> None:
    async def talk(client: AsyncClient) -> None:
        await client.retain("alice", "The key lies under the pot.", tags=["home"])
        asked = {"store": True, "operation_id": "op-1", "tags": ["home"], "include": {"facts": {}}}
        kept = await client.reflect("alice", "Where is the key?", **asked)
        assert kept.reflection_id is not None
        assert (await client.reflect("alice", "Where is the key?")).reflection_id is None, "nothing is kept unasked"
        await client.retain("alice", "The key is in the car now.", tags=["home"], document_id="later")
        again = await client.reflect("alice", "Where is the key?", **asked)
        assert (again.text, again.reflection_id) == (kept.text, kept.reflection_id)
        assert [fact.text for fact in again.based_on.memories] == ["The key lies under the pot."]
        with pytest.raises(ConflictError):
            await client.reflect("alice", "Where is the dog?", **asked)
        page = await client.reflections.list("alice", tags=["home"], tags_match="any_strict")
        assert [(one.id, one.tags, one.based_on) for one in page.items] == [(kept.reflection_id, ["home"], None)]
        assert (await client.reflections.list("alice", tags=["work"], tags_match="any_strict")).total == 0
        whole = await client.reflections.get("alice", kept.reflection_id)
        assert (whole.query, whole.text, whole.mode, whole.sources) == (
            "Where is the key?",
            kept.text,
            "extractive",
            1,
        )
        assert {row.type for row in (await client.list_memories("alice")).items} == {"world"}
        assert [row.id for row in (await client.list_memories("alice", type="reflection")).items] == [whole.id]
        found = await client.recall("alice", "key", types=["reflection"])
        assert [row.id for row in found.results] == [whole.id]
        assert (await client.reflections.delete("alice", whole.id)).success
        with pytest.raises(NotFoundError):
            await client.reflections.get("alice", whole.id)

    run(settings, talk)


def test_one_that_is_watched_is_kept_too(settings: Settings) -> None:
    with Http(build_api(recalling_client(settings), settings)) as http:
        http.post(f"{BANK}/memories", json={"items": [{"content": "The key lies under the pot."}]})
        asked = {"query": "key?", "stream": True, "store": True, "store_tags": ["work"], "operation_id": "op-1"}
        told = [http.post(f"{BANK}/reflect", json=asked).text for _ in range(2)]
        assert "event: step" in told[0]
        assert "event: step" not in told[1], "answered from what is kept"
        listed = http.get(f"{BANK}/reflections").json()
        assert [row["tags"] for row in listed["items"]] == [["work"]]
        assert all(f'"reflection_id":"{listed["items"][0]["id"]}"' in text for text in told)
        assert http.call("DELETE", f"{BANK}/reflections/none").status_code == 404
