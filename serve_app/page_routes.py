"""Knowledge pages: a tree of folders and pages over mental models, search, and export as Markdown."""

import uuid
from typing import Annotated, Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Query
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from memory.encoding import instant_to_text
from memory.errors import Conflict, InvalidRequest, NotFound
from memory.filters import Filter, holds
from memory.ids import Scope
from memory.knowledge_pages import Node, tree_of, walk
from memory.mental_models import MentalModel
from memory.model_search import search_models
from memory.page_rendering import NO_CONTENT, bundle, page_markdown, snippet_of, type_of
from memory.reflect_commands import DeleteFolder, DeleteModel, PutFolder, PutModel
from serve_app.body import JsonRoute
from serve_app.directive_routes import TagsQuery
from serve_app.ids_in_paths import PathId
from serve_app.model_routes import stored_trigger
from serve_app.request_context import BANK, BANKS, Bank, Client, json_response
from serve_app.wire_to_core import to_filter

router = APIRouter(route_class=JsonRoute, tags=["knowledge pages"])

BASE = BANK + "/knowledge-base"
FOLLOWING = {"mode": "delta", "refresh_after_consolidation": True}
"""What the trigger of a page says that says nothing else."""
PAGE_TOKENS = 4096
MAX_FOUND = 50
_GROUPS: TypeAdapter[Any] = TypeAdapter(wire.TagGroups)
GroupsQuery = Annotated[str | None, Query(max_length=20_000)]


@router.get(BASE + "/tree", response_model=wire.KnowledgeTreeResponse)
async def get_tree(
    bank: Bank,
    client: Client,
    tags: TagsQuery = None,
    tags_match: wire.TagsMatch = "any",
    tag_groups: GroupsQuery = None,
) -> Response:
    """All folders and pages, without contents; with `tags`, pages that match them."""
    nodes, stale = await _tree(client, bank, _where(tags, tags_match, tag_groups))
    return json_response({"roots": [_node_row(node, stale) for node in nodes]})


@router.post(BASE + "/folders", response_model=wire.KnowledgeNode, status_code=201)
async def create_folder(bank: Bank, client: Client, body: wire.CreateFolderRequest) -> Response:
    """Create a folder; an unknown bank is created."""
    operation_id = body.operation_id or str(uuid.uuid4())
    changes = {"name": body.name, "parent_id": body.parent_id or ""}
    await client.reflecting.pages.change(bank, PutFolder(operation_id, operation_id, changes, create=True))
    folder = await client.reflecting.pages.get_folder(bank, operation_id)
    return _created(_node_row(Node((folder.name,), folder=folder), {}))


@router.post(BASE + "/pages", response_model=wire.CreateKnowledgePageResponse, status_code=201)
async def create_page(bank: Bank, client: Client, body: wire.CreatePageRequest) -> Response:
    """Create a page; its content is made in the background."""
    operation_id = body.operation_id or str(uuid.uuid4())
    await _check_place(client, bank, operation_id, body.name, body.parent_id or "")
    trigger = body.trigger.model_dump(mode="json", by_alias=True, exclude_unset=True) if body.trigger else {}
    changes = {
        "name": body.name,
        "source_query": body.source_query,
        "tags": tuple(dict.fromkeys(body.tags or ())),
        "max_tokens": body.max_tokens or PAGE_TOKENS,
        "trigger": _trigger(FOLLOWING | trigger),
        "page": True,
        "folder_id": body.parent_id or "",
    }
    model = await client.reflecting.change_model(bank, PutModel(operation_id, operation_id, changes, create=True))
    return _created({"page_id": model.id, "mental_model_id": model.id, "operation_id": operation_id})


@router.get(BASE + "/pages/{page_id}", response_model=wire.KnowledgePageResponse)
async def get_page(bank: Bank, client: Client, page_id: PathId) -> Response:
    """One page as Markdown, with links to the memories it rests on."""
    page = await _page(client, bank, page_id)
    stale = await client.reflecting.find_stale(bank, (page,))
    markdown = page_markdown(page, _link(bank), stale=stale[page.id], empty=NO_CONTENT)
    return json_response(
        {
            "id": page.id,
            "name": page.name,
            "type": type_of(page),
            "description": page.source_query,
            "tags": list(page.tags),
            "timestamp": _time(page),
            "body": page.content,
            "markdown": markdown,
        }
    )


@router.get(BASE + "/search", response_model=wire.KnowledgePageSearchResponse)
async def search_pages(
    bank: Bank,
    client: Client,
    q: Annotated[str, Query(min_length=1, max_length=wire.MAX_QUERY_CHARS)],
    limit: Annotated[int, Query(ge=1, le=MAX_FOUND)] = 10,
    tags: TagsQuery = None,
    tags_match: wire.TagsMatch = "any",
    tag_groups: GroupsQuery = None,
) -> Response:
    """Pages that share words with the query, best first."""
    where = _where(tags, tags_match, tag_groups)
    models = await client.reflecting.list_models(bank)
    pages = [model for model in models if model.page and holds(where, model.id, {"tags": model.tags})]
    found = search_models(pages, q, len(pages))
    rows = [
        {
            "id": page.id,
            "name": page.name,
            "mental_model_id": page.id,
            "source_query": page.source_query,
            "snippet": snippet_of(page),
            "score": 1 / (1 + place),
            "updated_at": _time(page),
        }
        for place, page in enumerate(found[:limit])
    ]
    return json_response({"results": rows, "total": len(found)})


@router.get(BASE + "/export", response_model=wire.KnowledgePageBundleResponse)
async def export_pages(bank: Bank, client: Client) -> Response:
    """All pages as Markdown files with an index that links to them."""
    nodes, stale = await _tree(client, bank, to_filter(None, "any"))
    files = [{"path": path, "content": content} for path, content in bundle(nodes, _link(bank), stale)]
    return json_response({"files": files})


@router.patch(BASE + "/nodes/{node_id}", response_model=wire.KnowledgeNode)
async def update_node(bank: Bank, client: Client, node_id: PathId, body: wire.UpdateNodeRequest) -> Response:
    """Rename or move a folder or a page, or change what a page is made of."""
    given = body.model_dump(exclude_unset=True, exclude={"trigger"})
    parent = {"parent_id": given.pop("parent_id")} if "parent_id" in given else {}
    changes = {name: value for name, value in given.items() if value is not None}
    if not (changes or parent or body.trigger):
        raise InvalidRequest("say what to change: name, parent_id, source_query, tags, max_tokens or trigger")
    pages = client.reflecting.pages
    if await pages.find_folder(bank, node_id) is not None:
        if body.trigger is not None or changes.keys() - {"name"}:
            raise InvalidRequest("a folder has a name and a parent, nothing else")
        await pages.change(bank, PutFolder(str(uuid.uuid4()), node_id, {**changes, **parent}))
        folder = await pages.get_folder(bank, node_id)
        return json_response(_node_row(Node((folder.name,), folder=folder), {}))
    page = await _page(client, bank, node_id)
    folder_id = parent.get("parent_id", page.folder_id)
    await _check_place(client, bank, node_id, changes.get("name", page.name), folder_id)
    if "tags" in changes:
        changes["tags"] = tuple(dict.fromkeys(changes["tags"]))
    if body.trigger is not None:
        patch = body.trigger.model_dump(mode="json", by_alias=True, exclude_unset=True)
        changes["trigger"] = _trigger(dict(page.trigger) | patch)
    command = PutModel(str(uuid.uuid4()), node_id, {**changes, "folder_id": folder_id})
    page = await client.reflecting.change_model(bank, command)
    stale = await client.reflecting.find_stale(bank, (page,))
    return json_response(_node_row(Node((page.name,), page=page), stale))


@router.delete(BASE + "/nodes/{node_id}", response_model=wire.DeleteResponse)
async def delete_node(bank: Bank, client: Client, node_id: PathId) -> Response:
    """Delete a page, or a folder with all that is in it; memories stay."""
    operation_id = str(uuid.uuid4())
    if await client.reflecting.pages.find_folder(bank, node_id) is not None:
        await client.reflecting.pages.change(bank, DeleteFolder(operation_id, node_id))
    else:
        await _page(client, bank, node_id)
        await client.reflecting.delete_model(bank, DeleteModel(operation_id, node_id))
    return json_response({"success": True, "message": f"{node_id} is deleted", "deleted_count": 1})


async def _tree(client: BankClient, bank: Scope, where: Filter) -> tuple[tuple[Node, ...], dict[str, bool]]:
    models = await client.reflecting.list_models(bank)
    pages = tuple(model for model in models if model.page and holds(where, model.id, {"tags": model.tags}))
    nodes = tree_of(await client.reflecting.pages.list_folders(bank), pages)
    return nodes, await client.reflecting.find_stale(bank, pages)


async def _page(client: BankClient, bank: Scope, page_id: str) -> MentalModel:
    """A page.

    Raises:
        NotFound: there is none of that id.
    """
    model = await client.reflecting.get_model(bank, page_id)
    if not model.page:
        raise NotFound(f"bank {bank.bank!r} has no page {page_id!r}")
    return model


async def _check_place(client: BankClient, bank: Scope, page_id: str, name: str, folder_id: str) -> None:
    """Check where a page is to stand.

    Raises:
        NotFound: there is no such folder.
        Conflict: it has a page of that name.
    """
    if folder_id:
        await client.reflecting.pages.get_folder(bank, folder_id)
    nodes, _ = await _tree(client, bank, to_filter(None, "any"))
    beside = (node.page for node in walk(nodes) if node.page is not None and node.page.folder_id == folder_id)
    if any(page.name == name and page.id != page_id for page in beside):
        raise Conflict(f"the folder has a page {name!r} already")


def _node_row(node: Node, stale: dict[str, bool]) -> dict[str, Any]:
    if node.folder is not None:
        return {
            "id": node.folder.id,
            "kind": "folder",
            "name": node.folder.name,
            "parent_id": node.folder.parent_id or None,
            "managed": False,
            "children": [_node_row(child, stale) for child in node.children],
        }
    page = node.page
    assert page is not None
    failed = page.failed_at
    return {
        "id": page.id,
        "kind": "page",
        "name": page.name,
        "parent_id": page.folder_id or None,
        "mental_model_id": page.id,
        "managed": False,
        "description": page.source_query,
        "tags": list(page.tags),
        "timestamp": _time(page),
        "is_stale": stale.get(page.id),
        "last_refresh_failed_at": instant_to_text(failed) if failed is not None else None,
        "trigger": dict(page.trigger),
        "children": [],
    }


def _trigger(given: dict[str, Any]) -> dict[str, Any]:
    return stored_trigger(wire.MentalModelTrigger.model_validate({k: v for k, v in given.items() if v is not None}))


def _where(tags: list[str] | None, match: wire.TagsMatch, groups: str | None) -> Filter:
    """Filter of the request's tags; tag groups are one JSON text.

    Raises:
        InvalidRequest: the groups cannot be read.
    """
    try:
        read = _GROUPS.validate_json(groups) if groups else None
    except ValidationError as exc:
        raise InvalidRequest(f"tag_groups cannot be read: {exc.errors()[0]['msg']}") from exc
    return to_filter(tags, match, read)


def _link(bank: Scope) -> str:
    return f"{BANKS}/{quote(bank.bank, safe='')}/memories/{{id}}"


def _time(page: MentalModel) -> str | None:
    return instant_to_text(page.refreshed_at) if page.refreshed_at is not None else None


def _created(row: dict[str, Any]) -> Response:
    return Response(orjson.dumps(row), status_code=201, media_type="application/json")
