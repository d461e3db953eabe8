"""What a bank consists of -> rows of tables, while it is in use: each document is whole and of one version."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import orjson

from jobs.tables import TABLES, BankExport, TableWriter, bank_directory, find_bank, write_bank
from memory.as_of import ReadIncomplete
from memory.curation import decode_curation
from memory.document_reading import DocumentPart
from memory.encoding import encode_document, encode_unit, instant_to_micros, instant_to_text
from memory.errors import NotFound
from memory.filters import AnyOf, Filter, Not, every
from memory.ids import Scope
from memory.ingest import LIVE
from memory.moving import LEFT_BEHIND
from memory.records import Document, Head, Record, RecordKind, Unit, UnitKind
from memory.stages import decode_work
from memory.store_calls import GetRecords, ListRecords

if TYPE_CHECKING:
    from actors.client import BankClient

PAGE = 500
PASSES = 5
"""Times that a bank which is written to meanwhile is looked through."""
Writers = dict[str, TableWriter]
_WITHOUT_DOCUMENT: Filter = Not(AnyOf("kind", (UnitKind.CHUNK.value, UnitKind.FACT.value)))
_OF_DOCUMENTS = frozenset({RecordKind.DOCUMENT, RecordKind.STAGES, RecordKind.WINDOW, RecordKind.SESSION_PART})
"""Records that are written with their documents."""
_TABLE_OF = {
    RecordKind.ENTITY: "said",
    RecordKind.CURATION: "said",
    RecordKind.CONSOLIDATION: "said",
    RecordKind.SESSION: "sessions",
    RecordKind.OPERATION: "operations",
}
"""Tables of records by kind; what was said by hand stands apart, for facts depend on it, and
so does how far they are consolidated."""


async def export_bank(
    client: "BankClient",
    scope: Scope,
    head: Head,
    directory: Path,
    advance: Callable[[int], None],
    only: frozenset[str] | None = None,
) -> BankExport:
    """Write a bank's tables; one that an earlier run wrote and nobody has written to since is left as it is.

    only: these documents, with all that is theirs alone and what was said of their facts by hand.
    """
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
    moving = await _documents(client, scope, writers, advance, only)
    if only is None:
        await _others(client, scope, writers)
    else:
        await _said(client, scope, writers, only)
    tables = {table: writer.close() for table, writer in writers.items()}
    counts = {table: writer.rows for table, writer in writers.items()}
    created_at = instant_to_text(head.created_at) if head.created_at else None
    incomplete: Any = await client.inspect(scope, cast("Any", ReadIncomplete()))
    after = await client.find_head(scope) or head
    bank = BankExport(
        bank=scope.bank,
        directory=name,
        seq=head.seq,
        profile=head.profile,
        created_at=created_at,
        counts=counts,
        tables=tables,
        moving=moving,
        incomplete_before=instant_to_text(incomplete) if incomplete else None,
        highest_seq=max(head.seq, after.seq),
    )
    write_bank(directory, bank)
    return bank


async def _documents(
    client: "BankClient",
    scope: Scope,
    writers: Writers,
    advance: Callable[[int], None],
    only: frozenset[str] | None,
) -> bool:
    """All documents, oldest first; whether the bank was still written to in the last pass.

    A document that changes meanwhile is written again: of several rows with one id the last one counts.
    """
    written: dict[str, int] = {}
    for _ in range(PASSES):
        everything = [(seq, id_) async for id_, seq in _listed(client, scope) if written.get(id_) != seq]
        listed = [(seq, id_) for seq, id_ in everything if only is None or id_ in only]
        if not listed:
            return False
        for seq, document_id in sorted(listed):
            try:
                part = await client.read_document(scope, document_id)
            except NotFound:
                continue
            advance(document_id not in written)
            await _write_document(client, scope, part, writers)
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


async def _write_document(client: "BankClient", scope: Scope, part: DocumentPart, writers: Writers) -> None:
    """A document with all that is its alone; readers find as many rows of the other tables as its own row says."""
    document = part.document
    for place, (entry, unit) in enumerate(zip(document.chunks, part.chunks, strict=True)):
        rest = {key: value for key, value in encode_unit(unit).items() if key != "text"}
        writers["chunks"].add(
            {
                "document_id": document.id, "place": place, "id": unit.id, "text": unit.text,
                "separator": entry.separator, "speaker": unit.speaker, "role": unit.role, "type": entry.type.value,
                "item": entry.item, "mentioned_at": unit.mentioned_at, "recorded_at": unit.recorded_at,
                "context": unit.context, "tags": list(unit.tags), "metadata": _json(dict(unit.metadata)),
                "entities": list(unit.entities), "digest": entry.digest, "session": unit.session, "seq": unit.seq,
                "unit": _json(rest),
            }
        )  # fmt: skip
    facts = sorted(await _facts(client, scope, document.id), key=lambda unit: (unit.seq, unit.id))
    records = await _family(client, scope, document)
    for fact in facts:
        writers["derived"].add(derived_row(fact))
    for record in records:
        writers["records"].add(record_row(record))
    writers["documents"].add(
        {
            "id": document.id, "version": document.version, "seq": document.seq, "created_at": document.created_at,
            "updated_at": document.updated_at, "text": part.text, "tail": document.tail,
            "chunks": len(document.chunks), "content_hash": document.content_hash, "context": document.context,
            "tags": list(document.tags), "metadata": _json(dict(document.metadata)), "open": document.open,
            "derived": len(facts), "records": len(records),
        }
    )  # fmt: skip


async def _facts(client: "BankClient", scope: Scope, document_id: str) -> list[Unit]:
    where = every(AnyOf("document_id", (document_id,)), AnyOf("kind", (UnitKind.FACT.value,)))
    found: list[Unit] = []
    while (page := await client.list_units(scope, where, limit=PAGE, offset=len(found))).units:
        found.extend(page.units)
    return found


async def _family(client: "BankClient", scope: Scope, document: Document) -> list[Record]:
    """The document's record, its stage work, the answers for its windows, the session that still adds to it."""
    perform: Any = client.inspect
    stored = await perform(scope, GetRecords(RecordKind.DOCUMENT, (document.id,)))
    works = await perform(scope, GetRecords(RecordKind.STAGES, (document.id,)))
    order, status = instant_to_micros(document.updated_at), LIVE
    if document.id in stored:
        order, status = stored[document.id].order, stored[document.id].status
    found = [Record(RecordKind.DOCUMENT, document.id, encode_document(document), order=order, status=status)]
    found.extend(works.values())
    for record in works.values():
        windows = decode_work(record).windows
        for start in range(0, len(windows), PAGE):
            answers = await perform(scope, GetRecords(RecordKind.WINDOW, windows[start : start + PAGE]))
            found.extend(answers.values())
    if document.open:
        found.extend((await perform(scope, GetRecords(RecordKind.SESSION, (document.id,)))).values())
    return found


async def _others(client: "BankClient", scope: Scope, writers: Writers) -> None:
    """What is no one document's, and what happened, as far back as the store keeps it."""
    offset = 0
    while (page := await client.list_units(scope, _WITHOUT_DOCUMENT, limit=PAGE, offset=offset)).units:
        for unit in page.units:
            writers["derived"].add(derived_row(unit))
        offset += PAGE
    for kind in RecordKind:
        if kind not in LEFT_BEHIND and kind not in _OF_DOCUMENTS:
            async for record in _records(client, scope, kind):
                writers[_TABLE_OF.get(kind, "others")].add(record_row(record))
    for commit, event in (await client.read_events(scope)).events:
        writers["events"].add(
            {"commit": commit, "type": event.type, "operation_id": event.operation_id, "at": event.at}
        )


async def _said(client: "BankClient", scope: Scope, writers: Writers, only: frozenset[str]) -> None:
    """What was said by hand of facts of some documents."""
    async for record in _records(client, scope, RecordKind.CURATION):
        if decode_curation(record).unit.document_id in only:
            writers["said"].add(record_row(record))


async def _records(client: "BankClient", scope: Scope, kind: RecordKind) -> AsyncIterator[Record]:
    offset = 0
    while (page := await client.inspect(scope, ListRecords(kind, PAGE, offset))).records:
        for record in page.records:
            yield record
        offset += PAGE


def derived_row(unit: Unit) -> dict[str, Any]:
    """A derived unit as a row."""
    body = _json(encode_unit(unit))
    return {"id": unit.id, "kind": unit.kind.value, "document_id": unit.document_id, "text": unit.text, "unit": body}


def record_row(record: Record) -> dict[str, Any]:
    """A record as a row."""
    body = _json(dict(record.body))
    return {"kind": record.kind.value, "key": record.key, "status": record.status, "order": record.order, "body": body}


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
