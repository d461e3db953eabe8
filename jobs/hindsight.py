"""Documents of a Hindsight server, or of one of its document-transfer archives, with their times and in their order.

Texts, tags, contexts, metadata and times are taken over; facts are not, as they are derived from the texts here too. A
document whose text was not kept there is made of its facts. Where the server is a lorebank, documents come chunk by
chunk, with who spoke and when.
"""

import zipfile
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from jobs.foreign import ForeignApi
from jobs.parts import Gathered, Origin, Part, Reject, as_context, as_instant, as_metadata, as_name, as_tags, gather
from memory.bank_profile import TRAITS
from memory.commands import GivenChunk, GivenDocument, Item
from memory.drafting import chunk_digest
from memory.encoding import instant_to_text
from memory.errors import BadSettings, NotFound
from memory.records import UnitType

MEMORIES_PAGE = 500
BANKS = "/v1/default/banks"


class HindsightServer:
    """Banks and documents over its HTTP API."""

    def __init__(self, api: ForeignApi) -> None:
        self._api = api

    def list_banks(self) -> list[str]:
        """Ids of all banks that the key sees."""
        return [row["bank_id"] for row in self._api.pages(BANKS, "banks")]

    def read_profile(self, bank: str) -> dict[str, Any]:
        """Name, mission and disposition of a bank, as settings here.

        Raises:
            NotFound: the server has no such bank.
        """
        profile = self._api.find(f"{BANKS}/{_segment(bank)}/profile")
        if profile is None:
            raise NotFound(f"{self._api.url} has no bank {bank!r}")
        found = {"reflect_mission": profile.get("mission")}
        if profile.get("name") not in {None, bank}:
            found["name"] = profile["name"]
        disposition = profile.get("disposition") or {}
        found |= {f"disposition_{trait}": disposition.get(trait) for trait in TRAITS}
        return {key: value for key, value in found.items() if value}

    def read_documents(self, bank: str, into: str) -> Generator[Gathered | Reject, None, None]:
        """Documents of a bank, those that were updated first come first; `into` is the bank here."""
        path = f"{BANKS}/{_segment(bank)}"
        listed = [row["id"] for row in self._api.pages(f"{path}/documents", "items")]
        for number, document_id in enumerate(dict.fromkeys(reversed(listed)), start=1):
            origin = Origin(f"{self._api.url}{path}/documents/{_segment(document_id)}", number)
            row = self._api.find(f"{path}/documents/{_segment(document_id)}")
            if row is None:
                continue  # deleted meanwhile
            facts = list(self._api.pages(f"{path}/memories/list", "items", MEMORIES_PAGE, document_id=document_id))
            try:
                if facts and all(fact.get("kind") == "chunk" for fact in facts):
                    yield self._verbatim(path, row, facts, into, origin)
                else:
                    yield document_of(row, facts, into, origin)
            except ValueError as exc:
                yield Reject(origin, str(exc), document_id)

    def _verbatim(
        self, path: str, row: Mapping[str, Any], facts: Sequence[Mapping[str, Any]], into: str, origin: Origin
    ) -> Gathered:
        """A document of a lorebank server. Where it changes meanwhile, its text as a whole."""
        by_id = {fact["id"]: fact for fact in facts}
        chunks = list(self._api.pages(f"{path}/documents/{_segment(row['id'])}/chunks", "items", MEMORIES_PAGE))
        text, at = row["original_text"], 0
        given: list[GivenChunk] = []
        for chunk in chunks:
            fact = by_id.get(chunk["chunk_id"])
            start = text.find(chunk["chunk_text"], at)
            if fact is None or start < 0:
                return document_of(row, facts, into, origin)
            given.append(_given_chunk(fact, chunk["chunk_text"], text[at:start]))
            at = start + len(chunk["chunk_text"])
        created_at, updated_at = as_instant(row["created_at"]), as_instant(row["updated_at"])
        assert created_at is not None
        assert updated_at is not None
        whole = GivenDocument(
            chunks=tuple(given),
            tail=text[at:],
            version=int(row.get("version") or 1),
            created_at=created_at,
            updated_at=updated_at,
            tags=as_tags(row.get("tags")),
            metadata=as_metadata(row.get("document_metadata")),
            context=as_context((row.get("retain_params") or {}).get("context")),
        )
        size_bytes = len(text.encode("utf-8", "surrogatepass"))
        return Gathered(into, row["id"], (Item(whole, document_id=row["id"]),), (origin,), len(given), size_bytes)


def read_archive(path: Path, bank: str | None) -> Generator[Gathered | Reject, None, None]:
    """Documents of a document-transfer archive, in its order; without a bank given, into one of the same id.

    Raises:
        BadSettings: it is none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = orjson.loads(archive.read("manifest.json"))
            into = bank or str(manifest["source_bank_id"])
            names = sorted(name for name in archive.namelist() if name.startswith("documents/"))
            for number, name in enumerate(names, start=1):
                origin = Origin(f"{path}/{name}", number)
                try:
                    row = orjson.loads(archive.read(name))
                    yield document_of(row, row.get("facts") or [], into, origin)
                except (ValueError, KeyError) as exc:
                    yield Reject(origin, f"cannot be read: {exc}")
    except (OSError, zipfile.BadZipFile, KeyError, orjson.JSONDecodeError) as exc:
        raise BadSettings(f"{path} is no document-transfer archive: {exc}") from exc


def document_of(row: Mapping[str, Any], facts: Sequence[Mapping[str, Any]], bank: str, origin: Origin) -> Gathered:
    """A document by its text, else by its facts.

    Raises:
        ValueError: it has neither, or cannot be stored.
    """
    document_id = as_name(row.get("id"), "the document id")
    if document_id is None:
        raise ValueError("there is no document id")
    given = row.get("retain_params") or {}
    tags = as_tags(row.get("tags"))
    metadata = as_metadata(row.get("document_metadata") or given.get("metadata"))
    context = as_context(given.get("context"))
    text = row.get("original_text")
    if isinstance(text, str) and text.strip():
        at = _time_of(row, given, facts)
        items = [Item(text, document_id, timestamp=at, context=context, metadata=metadata, tags=tags)]
    else:
        items = [_fact_item(fact, document_id) for fact in facts if fact.get("fact_type") != "observation"]
    if not items:
        raise ValueError("neither the document's text nor any fact of it was kept")
    return gather([Part(bank, document_id, item, origin) for item in items])


def _time_of(row: Mapping[str, Any], given: Mapping[str, Any], facts: Sequence[Mapping[str, Any]]) -> datetime | None:
    """When it was said: as given with it, else as its facts say, else when it was stored."""
    for key in ("event_date", "timestamp"):
        if given.get(key):
            return as_instant(given[key])
    told = [as_instant(fact.get("mentioned_at") or fact.get("event_date")) for fact in facts]
    return min((time for time in told if time is not None), default=None) or as_instant(row.get("created_at"))


def _fact_item(fact: Mapping[str, Any], document_id: str) -> Item:
    at = fact.get("mentioned_at") or fact.get("occurred_start") or fact.get("event_date")
    entities = fact.get("entities") or ()
    names = entities.split(", ") if isinstance(entities, str) else entities
    return Item(
        content=str(fact["text"]),
        document_id=document_id,
        timestamp=as_instant(at),
        context=as_context(fact.get("context")),
        metadata=as_metadata(fact.get("metadata")),
        tags=as_tags(fact.get("tags")),
        entities=tuple((str(name), None) for name in names if name),
    )


def _given_chunk(fact: Mapping[str, Any], text: str, separator: str) -> GivenChunk:
    at, tags, metadata = as_instant(fact.get("mentioned_at")), as_tags(fact.get("tags")), as_metadata(fact["metadata"])
    speaker, role, context = fact.get("speaker"), fact.get("role"), fact.get("context") or None
    stamp = instant_to_text(at) if at else "timeless"
    return GivenChunk(
        text=text,
        separator=separator,
        digest=chunk_digest(text, speaker, role, stamp, context, tags, metadata, ()),
        item=0,
        type=UnitType(fact.get("type") or fact["fact_type"]),
        speaker=speaker,
        role=role,
        mentioned_at=at,
        recorded_at=as_instant(fact.get("updated_at")),
        context=context,
        tags=tags,
        metadata=metadata,
        entities=tuple(name for name in str(fact.get("entities") or "").split(", ") if name),
    )


def _segment(name: str) -> str:
    return quote(name, safe="")
