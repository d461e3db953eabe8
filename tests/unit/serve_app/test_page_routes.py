"""Knowledge pages over HTTP, with our own client, over real banks in this process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from actors.settings import Settings
from lorebank import AsyncClient, ConflictError, InvalidRequestError, NotFoundError
from memory.mental_models import MentalModel
from memory.reflect_commands import Refreshed
from serve_app.api import build_api
from tests.support.builders import DIM
from tests.support.local_client import recalling_client

BANK = "alice"


async def content_of(scope: Any, model: MentalModel) -> Refreshed:
    return Refreshed(f"All about {model.name}.", "full", (), 1, model.source_query)


def run(talk: Callable[[AsyncClient, httpx.AsyncClient], Awaitable[None]]) -> None:
    async def main() -> None:
        settings = Settings(request_timeout_s=5.0, embedder="hash", embedding_dim=DIM)
        app = build_api(recalling_client(settings, refresh=content_of), settings)
        plain = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://lorebank")
        async with plain, AsyncClient("http://lorebank", http=httpx.ASGITransport(app)) as client:
            await talk(client, plain)

    asyncio.run(main())


def names(nodes: Any) -> list[Any]:
    return [(node.name, names(node.children)) if node.kind == "folder" else node.name for node in nodes]


async def written(client: AsyncClient, page_id: str) -> str:
    for _ in range(200):
        body = (await client.pages.get(BANK, page_id)).body
        if body:
            return body
        await asyncio.sleep(0.005)
    raise AssertionError("the page has no content")


def test_pages_are_made_in_folders_moved_found_exported_and_deleted() -> None:
    async def talk(client: AsyncClient, plain: httpx.AsyncClient) -> None:
        work = await client.pages.create_folder(BANK, "Work")
        alpha = await client.pages.create_folder(BANK, "Alpha", work.id)
        made = await client.pages.create(BANK, "Plan", "What is planned?", parent_id=alpha.id, tags=["x"])
        await client.pages.create(BANK, "Tea", "What about tea?", trigger={"refresh_cron": "0 3 * * *"})
        await client.mental_models.create(BANK, "no page", "Anything?")
        assert names((await client.pages.tree(BANK)).roots) == [("Work", [("Alpha", ["Plan"])]), "Tea"]
        assert await written(client, made.page_id) == "All about Plan."
        page = await client.pages.get(BANK, made.page_id)
        assert page.markdown.startswith('---\nname: "Plan"\n')
        models = (await client.mental_models.list(BANK)).items
        assert {model.name: model.is_knowledge_page for model in models} == {
            "Plan": True,
            "Tea": True,
            "no page": False,
        }
        listed = await plain.get(f"/v1/default/banks/{BANK}/mental-models?exclude_knowledge_pages=true")
        assert [row["name"] for row in listed.json()["items"]] == ["no page"]
        trigger = (await client.mental_models.get(BANK, made.page_id)).trigger
        assert trigger is not None
        assert (trigger["mode"], trigger["refresh_after_consolidation"]) == ("delta", True)
        found = await client.pages.search(BANK, "what is planned")
        assert (found.results[0].id, found.results[0].score, found.total) == (made.page_id, 1.0, 2)
        files = {file.path: file.content for file in (await client.pages.export(BANK)).files}
        assert set(files) == {"index.md", "work/alpha/plan.md", "tea.md"}
        assert "[Plan](work/alpha/plan.md)" in files["index.md"]
        moved = await client.pages.update(BANK, made.page_id, name="Plans", parent_id=None, trigger={"mode": "full"})
        assert (moved.name, moved.parent_id, moved.tags) == ("Plans", None, ["x"])
        assert moved.trigger is not None
        assert (moved.trigger["mode"], moved.trigger["refresh_after_consolidation"]) == ("full", True)
        await client.pages.update(BANK, made.page_id, parent_id=alpha.id)
        await client.pages.update(BANK, alpha.id, name="Beta")
        assert names((await client.pages.tree(BANK)).roots) == [("Work", [("Beta", ["Plans"])]), "Tea"]
        await client.pages.delete(BANK, work.id)
        assert names((await client.pages.tree(BANK)).roots) == ["Tea"]
        with pytest.raises(NotFoundError):
            await client.mental_models.get(BANK, made.page_id)
        assert {model.name for model in (await client.mental_models.list(BANK)).items} == {"Tea", "no page"}
        (tea,) = (await client.pages.tree(BANK)).roots
        await client.pages.delete(BANK, tea.id)
        assert (await client.pages.tree(BANK)).roots == []

    run(talk)


def test_what_cannot_be_is_refused() -> None:
    async def talk(client: AsyncClient, plain: httpx.AsyncClient) -> None:
        folder = await client.pages.create_folder(BANK, "Work")
        inner = await client.pages.create_folder(BANK, "In", folder.id)
        model = await client.mental_models.create(BANK, "Tea", "What about tea?")
        await client.pages.create(BANK, "Plan", "What?", parent_id=folder.id)
        for refused in (
            client.pages.create_folder(BANK, "Work"),
            client.pages.create(BANK, "Plan", "Another?", parent_id=folder.id),
            client.pages.update(BANK, folder.id, parent_id=inner.id),
        ):
            with pytest.raises(ConflictError):
                await refused
        for missing in (
            client.pages.create_folder(BANK, "x", "none"),
            client.pages.create(BANK, "x", "What?", parent_id="none"),
            client.pages.get(BANK, str(model.mental_model_id)),
            client.pages.delete(BANK, str(model.mental_model_id)),
            client.pages.update(BANK, "none", name="x"),
        ):
            with pytest.raises(NotFoundError):
                await missing
        for wrong in (client.pages.update(BANK, folder.id), client.pages.update(BANK, folder.id, source_query="x?")):
            with pytest.raises(InvalidRequestError):
                await wrong
        base = f"/v1/default/banks/{BANK}/knowledge-base"
        assert (await plain.get(f"{base}/tree", params={"tag_groups": "{"})).status_code == 400
        groups = {"tag_groups": '[{"tags": ["x"], "match": "any_strict"}]'}
        assert (await plain.get(f"{base}/tree", params=groups)).json()["roots"][0]["children"][0]["name"] == "In"
        assert (await plain.post(f"{base}/folders", json={"name": "New"})).status_code == 201

    run(talk)
