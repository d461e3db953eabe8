"""What a bank consists of -> rows of tables, while it is in use: each document is whole and of one version."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from jobs.tables import TABLES, BankExport, TableWriter, bank_directory, find_bank, write_bank
from memory.document_reading import DocumentPart
from memory.encoding import encode_unit, instant_to_text
from memory.errors import NotFound
from memory.filters import AnyOf, Not
from memory.ids import Scope
from memory.records import Head, Record, RecordKind, UnitKind
from memory.store_calls import ListRecords

if TYPE_CHECKING:
    from actors.client import BankClient

PAGE = 500
PASSES = 5
"""Times that a bank which is written to meanwhile is looked through."""


async def export_bank(
    client: "BankClient", scope: Scope, head: Head, directory: Path, advance: Callable[[int], None]
) -> BankExport:
    """Write a bank's tables; one that an earlier run wrote and nobody has written to since is left as it is."""
    name = bank_directory(scope.bank)
    before = find_bank(directory, name)
    if before is not None and before.bank == scope.bank and before.seq == head.seq and not before.moving:
        advance(before.counts["documents"])
        return before
    place = directory / name
    place.mkdir(parents=True, exist_ok=True)
    for file in place.iterdir():
        file.unlink()
    writers = {table: TableWriter(place, table) for table in TABLES}
    moving = await _documents(client, scope, writers, advance)
    await _others(client, scope, writers)
    tables = {table: writer.close() for table, writer in writers.items()}
    counts = {table: writer.rows for table, writer in writers.items()}
    created_at = instant_to_text(head.created_at) if head.created_at else None
    bank = BankExport(scope.bank, name, head.seq, head.profile, created_at, counts, tables, moving)
    write_bank(directory, bank)
    return bank


async def _documents(
    client: "BankClient", scope: Scope, writers: dict[str, TableWriter], advance: Callable[[int], None]
) -> bool:
    """All documents, oldest first; whether the bank was still written to in the last pass.

    A document that changes meanwhile is written again: of several rows with one id the last one counts.
    """
    written: dict[str, int] = {}
    for _ in range(PASSES):
        listed = [(seq, id_) async for id_, seq in _listed(client, scope) if written.get(id_) != seq]
        if not listed:
            return False
        for seq, document_id in sorted(listed):
            try:
                part = await client.read_document(scope, document_id)
            except NotFound:
                continue
            advance(document_id not in written)
            _write_document(part, writers)
            written[document_id] = seq
    return True


async def _listed(client: "BankClient", scope: Scope) -> AsyncIterator[tuple[str, int]]:
    offset = 0
    while True:
        page = await client.list_documents(scope, limit=PAGE, offset=offset)
        for document in page.documents:
            yield document.id, document.seq
        offset += PAGE
        if offset >= page.total:
            return


def _write_document(part: DocumentPart, writers: dict[str, TableWriter]) -> None:
    document = part.document
    for place, (entry, unit) in enumerate(zip(document.chunks, part.chunks, strict=True)):
        writers["chunks"].add(
            {
                "document_id": document.id, "place": place, "id": unit.id, "text": unit.text,
                "separator": entry.separator, "speaker": unit.speaker, "role": unit.role, "type": entry.type.value,
                "item": entry.item, "mentioned_at": unit.mentioned_at, "recorded_at": unit.recorded_at,
                "context": unit.context, "tags": list(unit.tags), "metadata": _json(dict(unit.metadata)),
                "entities": list(unit.entities), "digest": entry.digest, "session": unit.session, "seq": unit.seq,
            }
        )  # fmt: skip
    writers["documents"].add(
        {
            "id": document.id, "version": document.version, "seq": document.seq, "created_at": document.created_at,
            "updated_at": document.updated_at, "text": part.text, "tail": document.tail,
            "chunks": len(document.chunks), "content_hash": document.content_hash, "context": document.context,
            "tags": list(document.tags), "metadata": _json(dict(document.metadata)), "open": document.open,
        }
    )  # fmt: skip


async def _others(client: "BankClient", scope: Scope, writers: dict[str, TableWriter]) -> None:
    """What was derived, sessions, operations and what happened, as far back as the store keeps it."""
    derived = Not(AnyOf("kind", (UnitKind.CHUNK.value,)))
    offset = 0
    while (page := await client.list_units(scope, derived, limit=PAGE, offset=offset)).units:
        for unit in page.units:
            body = _json(encode_unit(unit))
            row = {"id": unit.id, "kind": unit.kind.value, "document_id": unit.document_id, "text": unit.text}
            writers["derived"].add({**row, "unit": body})
        offset += PAGE
    for table, kind in (("sessions", RecordKind.SESSION), ("operations", RecordKind.OPERATION)):
        async for record in _records(client, scope, kind):
            writers[table].add(
                {"key": record.key, "status": record.status, "order": record.order, "body": _json(dict(record.body))}
            )
    for commit, event in (await client.read_events(scope)).events:
        writers["events"].add(
            {"commit": commit, "type": event.type, "operation_id": event.operation_id, "at": event.at}
        )


async def _records(client: "BankClient", scope: Scope, kind: RecordKind) -> AsyncIterator[Record]:
    offset = 0
    while (page := await client.inspect(scope, ListRecords(kind, PAGE, offset))).records:
        for record in page.records:
            yield record
        offset += PAGE


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
