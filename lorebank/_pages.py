"""Knowledge pages over a client: `client.pages`."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from lorebank import wire
from lorebank._calls import AnswerT, Call, bank_path, get_call, send_call
from lorebank._models import AsyncSend, Send
from lorebank._transport import Request

_BASE = "knowledge-base"


class PageFields(TypedDict, total=False):
    """Of a page beside its name and question."""

    parent_id: str | None
    tags: Sequence[str]
    max_tokens: int
    trigger: Mapping[str, Any]
    operation_id: str


class NodeChanges(TypedDict, total=False):
    """What of a folder or page is to be other; `parent_id` None: it moves to the top."""

    name: str
    parent_id: str | None
    source_query: str
    tags: Sequence[str]
    max_tokens: int
    trigger: Mapping[str, Any]


class Pages:
    """Mental models in a tree of folders: `client.pages`. Raises what the client's methods raise."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def tree(self, bank_id: str) -> wire.KnowledgeTreeResponse:
        """All folders and pages, without contents."""
        return self._send(_get(wire.KnowledgeTreeResponse, bank_id, "tree"))

    def create_folder(self, bank_id: str, name: str, parent_id: str | None = None) -> wire.KnowledgeNode:
        """A new folder."""
        return self._send(_folder(bank_id, name, parent_id))

    def create(
        self, bank_id: str, name: str, source_query: str, **fields: Unpack[PageFields]
    ) -> wire.CreateKnowledgePageResponse:
        """A new page, whose content is made in the background."""
        return self._send(_page(bank_id, name, source_query, fields))

    def get(self, bank_id: str, page_id: str) -> wire.KnowledgePageResponse:
        """One page as Markdown."""
        return self._send(_get(wire.KnowledgePageResponse, bank_id, "pages", page_id))

    def search(self, bank_id: str, query: str, limit: int = 10) -> wire.KnowledgePageSearchResponse:
        """Pages that speak to a query, best first."""
        return self._send(_search(bank_id, query, limit))

    def export(self, bank_id: str) -> wire.KnowledgePageBundleResponse:
        """All pages as Markdown files."""
        return self._send(_get(wire.KnowledgePageBundleResponse, bank_id, "export"))

    def update(self, bank_id: str, node_id: str, **changes: Unpack[NodeChanges]) -> wire.KnowledgeNode:
        """Rename, move or change a folder or page."""
        return self._send(_update(bank_id, node_id, changes))

    def delete(self, bank_id: str, node_id: str) -> wire.DeleteResponse:
        """Delete a page, or a folder with all that is in it."""
        return self._send(_delete(bank_id, node_id))


class AsyncPages:
    """Mental models in a tree of folders: `client.pages`. Raises what the client's methods raise."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def tree(self, bank_id: str) -> wire.KnowledgeTreeResponse:
        """All folders and pages, without contents."""
        return await self._send(_get(wire.KnowledgeTreeResponse, bank_id, "tree"))

    async def create_folder(self, bank_id: str, name: str, parent_id: str | None = None) -> wire.KnowledgeNode:
        """A new folder."""
        return await self._send(_folder(bank_id, name, parent_id))

    async def create(
        self, bank_id: str, name: str, source_query: str, **fields: Unpack[PageFields]
    ) -> wire.CreateKnowledgePageResponse:
        """A new page, whose content is made in the background."""
        return await self._send(_page(bank_id, name, source_query, fields))

    async def get(self, bank_id: str, page_id: str) -> wire.KnowledgePageResponse:
        """One page as Markdown."""
        return await self._send(_get(wire.KnowledgePageResponse, bank_id, "pages", page_id))

    async def search(self, bank_id: str, query: str, limit: int = 10) -> wire.KnowledgePageSearchResponse:
        """Pages that speak to a query, best first."""
        return await self._send(_search(bank_id, query, limit))

    async def export(self, bank_id: str) -> wire.KnowledgePageBundleResponse:
        """All pages as Markdown files."""
        return await self._send(_get(wire.KnowledgePageBundleResponse, bank_id, "export"))

    async def update(self, bank_id: str, node_id: str, **changes: Unpack[NodeChanges]) -> wire.KnowledgeNode:
        """Rename, move or change a folder or page."""
        return await self._send(_update(bank_id, node_id, changes))

    async def delete(self, bank_id: str, node_id: str) -> wire.DeleteResponse:
        """Delete a page, or a folder with all that is in it."""
        return await self._send(_delete(bank_id, node_id))


def _get(answer: type[AnswerT], bank_id: str, *path: str) -> Call[AnswerT]:
    return get_call(answer, bank_path(bank_id, _BASE, *path))


def _search(bank_id: str, query: str, limit: int) -> Call[wire.KnowledgePageSearchResponse]:
    path = bank_path(bank_id, _BASE, "search")
    return get_call(wire.KnowledgePageSearchResponse, path, {"q": query, "limit": limit})


def _folder(bank_id: str, name: str, parent_id: str | None) -> Call[wire.KnowledgeNode]:
    """Always with an operation id, so that a retry makes no second one."""
    body = wire.CreateFolderRequest(name=name, parent_id=parent_id, operation_id=str(uuid.uuid4()))
    return send_call(wire.KnowledgeNode, "POST", bank_path(bank_id, _BASE, "folders"), body)


def _page(
    bank_id: str, name: str, source_query: str, fields: Mapping[str, Any]
) -> Call[wire.CreateKnowledgePageResponse]:
    """Always with an operation id, so that a retry makes no second one."""
    given = {"operation_id": str(uuid.uuid4()), **fields, "name": name, "source_query": source_query}
    body = wire.CreatePageRequest.model_validate(given)
    return send_call(wire.CreateKnowledgePageResponse, "POST", bank_path(bank_id, _BASE, "pages"), body)


def _update(bank_id: str, node_id: str, changes: Mapping[str, Any]) -> Call[wire.KnowledgeNode]:
    body = wire.UpdateNodeRequest.model_validate(dict(changes))
    return send_call(wire.KnowledgeNode, "PATCH", bank_path(bank_id, _BASE, "nodes", node_id), body)


def _delete(bank_id: str, node_id: str) -> Call[wire.DeleteResponse]:
    return Call(Request("DELETE", bank_path(bank_id, _BASE, "nodes", node_id)), wire.DeleteResponse)
