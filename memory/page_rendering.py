"""Knowledge pages as Markdown: one page, and a bundle of files that link to each other."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from memory.encoding import instant_to_text
from memory.knowledge_pages import Node, walk
from memory.mental_models import MentalModel

NO_CONTENT = "No content yet."
TYPE_TAG = "type:"
DEFAULT_TYPE = "knowledge-page"
INDEX = "index.md"
_SNIPPET_CHARS = 240
_SOURCE_CHARS = 160
_NAME_CHARS = 80
_UNSAFE = re.compile(r"[^\w.-]+")
_MARKS = re.compile(r"([\\`*_\[\]<>#|!])")


def type_of(page: MentalModel) -> str:
    """Its type: what a tag `type:…` says."""
    return next((tag.removeprefix(TYPE_TAG) for tag in page.tags if tag.startswith(TYPE_TAG)), DEFAULT_TYPE)


def snippet_of(page: MentalModel) -> str:
    """How it begins, on one line."""
    flat = " ".join(page.content.split())
    return (flat if len(flat) <= _SNIPPET_CHARS else f"{flat[: _SNIPPET_CHARS - 1]}…") or NO_CONTENT


def page_markdown(page: MentalModel, link: str, *, stale: bool = False, empty: str = "") -> str:
    """A page as a document: front matter, its content, and what it rests on.

    link: of a memory, with `{id}` for its id; empty: stands for a content that is not there.
    """
    header: dict[str, Any] = {
        "name": page.name,
        "type": type_of(page),
        "description": page.source_query,
        "tags": list(page.tags),
        "timestamp": instant_to_text(page.refreshed_at) if page.refreshed_at else None,
        "version": page.version,
        "stale": stale,
    }
    # JSON is YAML, and nothing that was remembered can leave a JSON string.
    lines = ["---", *(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in header.items()), "---", ""]
    body = page.content or empty
    sources = [f"- [{_plain(one['text'])}]({link.format(id=one['id'])})" for one in _sources(page)]
    listed = ["", "## Sources", "", *sources] if sources else []
    return "\n".join([*lines, *([body] if body else []), *listed]).rstrip() + "\n"


def bundle(nodes: Sequence[Node], link: str, stale: Mapping[str, bool]) -> list[tuple[str, str]]:
    """All pages as files: paths with contents, the index first. Paths are relative, of letters, digits, `.-_/`."""
    paths = dict(_paths(nodes, ""))
    rows: list[str] = ["# Knowledge pages", ""]
    files: list[tuple[str, str]] = []
    for node in walk(nodes):
        indent = "  " * (len(node.path) - 1)
        if node.page is None:
            rows.append(f"{indent}- {_plain(node.name)}/")
            continue
        path = paths[node.page.id]
        rows.append(f"{indent}- [{_plain(node.name)}]({path}): {_plain(node.page.source_query)}")
        files.append((path, page_markdown(node.page, link, stale=stale.get(node.page.id, False))))
    return [(INDEX, "\n".join(rows) + "\n"), *files]


def _paths(nodes: Sequence[Node], base: str) -> Iterator[tuple[str, str]]:
    """Of each page; names that come to the same are told apart by a number."""
    taken = {INDEX.removesuffix(".md")}
    for node in nodes:
        stem = _UNSAFE.sub("-", node.name).strip("-.").lower()[:_NAME_CHARS] or "page"
        name, number = stem, 2
        while name in taken:
            name, number = f"{stem}-{number}", number + 1
        taken.add(name)
        if node.page is not None:
            yield node.page.id, f"{base}{name}.md"
        yield from _paths(node.children, f"{base}{name}/")


def _sources(page: MentalModel) -> list[Mapping[str, Any]]:
    """Memories that the content says it rests on; those that are gone took the content with them."""
    based_on = (page.reflection or {}).get("based_on") or {}
    cited = {source.unit_id for source in page.sources}
    return [one for kind, found in based_on.items() if kind != "directives" for one in found if one["id"] in cited]


def _plain(text: str) -> str:
    """A text on one line that is no Markdown."""
    flat = " ".join(text.split())
    flat = flat if len(flat) <= _SOURCE_CHARS else f"{flat[: _SOURCE_CHARS - 1]}…"
    return _MARKS.sub(r"\\\1", flat)
