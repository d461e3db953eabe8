"""Memories of Mem0: its platform's API, its open-source server, or a file of exported JSON; each becomes a document.

The bank is the memory's user, else its agent, app or run; the other ids, and what Mem0 keeps beside, go to metadata.
"""

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

from jobs.foreign import ForeignApi
from jobs.parts import Gathered, Origin, Part, Reject, Unusable, as_instant, as_metadata, as_name, as_tags, gather
from jobs.parts import as_text as checked_text
from jobs.rows import BadRow, read_rows
from memory.commands import Item
from memory.errors import BadSettings

OWNERS = ("user_id", "agent_id", "app_id", "run_id")
WRAPPERS = ("results", "memories", "data")
PAGE = 100
OPEN_SOURCE_MOST = 1000
"""Memories that the open-source server lists at most in one answer; it has no pages."""


def read_export(path: Path, bank: str | None) -> Generator[Gathered | Reject, None, None]:
    """Memories of a file: a list of them, one a line, or an object with them under `results`; those made first first.

    A file of one object is in memory as a whole, lists and lines are not: they keep the file's order.
    """
    for row in read_rows(path):
        origin = Origin(str(path), row.number)
        if isinstance(row, BadRow):
            yield Reject(origin, row.reason)
            continue
        rows = _unwrapped(row.value)
        if rows is None:
            yield _document(row.value, bank, origin)
            continue
        for number, memory in enumerate(sorted(rows, key=_made_at), start=1):
            yield _document(memory, bank, Origin(str(path), number))


def read_server(api: ForeignApi, bank: str | None) -> Generator[Gathered | Reject, None, None]:
    """Memories of a server, owner by owner, those made first first."""
    if api.find("/v1/ping/") is None:
        yield from _open_source(api, bank)
        return
    for place, owner in enumerate(OWNERS):
        kind = owner.removesuffix("_id")
        entities = [row for row in api.get("/v1/entities/")["results"] if row.get("type") == kind]
        for entity in entities:
            for number, memory in enumerate(_pages_from_the_end(api, {owner: entity["name"]}), start=1):
                if any(memory.get(earlier) for earlier in OWNERS[:place]):
                    continue  # it came with that owner
                yield _document(memory, bank, Origin(f"{api.url}/v3/memories/ {owner}={entity['name']}", number))


def _pages_from_the_end(api: ForeignApi, filters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The API lists newest first: the last page, backwards, is where it began."""
    count = int(api.post("/v3/memories/", {"filters": filters}, page=1, page_size=1)["count"])
    for page in range(-(-count // PAGE), 0, -1):
        found = api.post("/v3/memories/", {"filters": filters}, page=page, page_size=PAGE)
        yield from sorted(found["results"], key=_made_at)


def _open_source(api: ForeignApi, bank: str | None) -> Iterator[Gathered | Reject]:
    answer = api.find("/memories", top_k=OPEN_SOURCE_MOST)
    rows = _unwrapped(answer)
    if rows is None:
        raise BadSettings(f"{api.url} answers like no Mem0 server: neither /v1/ping/ nor /memories is there")
    if len(rows) >= OPEN_SOURCE_MOST:
        raise BadSettings(
            f"{api.url} lists {OPEN_SOURCE_MOST} memories at most, and has as many: export them to a JSON file there"
            " (Memory.get_all for each user), and give the file"
        )
    for number, memory in enumerate(sorted(rows, key=_made_at), start=1):
        yield _document(memory, bank, Origin(f"{api.url}/memories", number))


def _document(memory: Any, bank: str | None, origin: Origin) -> Gathered | Reject:
    try:
        return _gathered(memory, bank, origin)
    except ValueError as exc:
        return Reject(origin, str(exc))


def _gathered(memory: Any, bank: str | None, origin: Origin) -> Gathered:
    if not isinstance(memory, Mapping):
        raise Unusable(f"a memory is {type(memory).__name__}, not an object")
    key = as_name(memory.get("id"), "the id")
    if key is None:
        raise Unusable("there is no id")
    owner = next((name for name in OWNERS if memory.get(name)), None)
    into = bank or as_name(memory.get(owner) if owner else None, "the owner")
    if into is None:
        raise Unusable("it has no user, agent, app or run: give a bank with --bank")
    text = checked_text(memory.get("memory") or memory.get("text") or memory.get("data"))
    kept = {name: memory[name] for name in (*OWNERS, "expiration_date", "updated_at") if memory.get(name)}
    if not bank and owner:
        kept.pop(owner)
    item = Item(
        content=text,
        document_id=key,
        timestamp=as_instant(memory.get("created_at")),
        metadata=as_metadata({**kept, **(memory.get("metadata") or {})}),
        tags=as_tags(memory.get("categories")),
    )
    return gather([Part(into, key, item, origin)])


def _unwrapped(value: Any) -> list[Any] | None:
    """Memories of an answer or a file; None where the value is none of these."""
    if isinstance(value, Mapping):
        return next((value[name] for name in WRAPPERS if isinstance(value.get(name), list)), None)
    return value if isinstance(value, list) else None


def _made_at(memory: Any) -> str:
    return str(memory.get("created_at") or "") if isinstance(memory, Mapping) else ""
