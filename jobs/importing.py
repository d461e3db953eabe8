"""An export -> documents as they were: chunk by chunk, with times, speakers, tags, metadata, versions and order."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from jobs.parts import Gathered, Origin
from jobs.tables import BankExport, TableFile, read_table
from memory.bank_profile import SCOPE
from memory.commands import GivenChunk, GivenDocument, Item, UpdateBank
from memory.errors import StoreDamaged
from memory.ids import Scope, digest, point_id
from memory.records import Document, UnitType

if TYPE_CHECKING:
    from actors.client import BankClient


def read_documents(directory: Path, exported: BankExport, bank: str) -> Iterator[Gathered]:
    """Documents of one bank in the order of their seqs; of one that was exported repeatedly the last version.

    Raises:
        StoreDamaged: documents and chunks do not fit together.
    """
    place = directory / exported.directory
    chunks = read_table(place, exported.tables.get("chunks", ()))
    documents = exported.tables.get("documents", ())
    superseded = superseded_rows(place, documents)
    for number, row in enumerate(read_table(place, documents)):
        mine = [next(chunks, None) for _ in range(row["chunks"])]
        if any(chunk is None or chunk["document_id"] != row["id"] for chunk in mine):
            raise StoreDamaged(f"{place}: the chunks of document {row['id']!r} are not there: copy the export again")
        if number not in superseded:
            yield document_of_rows(bank, place, number, row, [chunk for chunk in mine if chunk is not None])


def document_of_rows(
    bank: str, place: Path, number: int, row: Mapping[str, Any], chunks: Sequence[Mapping[str, Any]]
) -> Gathered:
    """A document of its row, and those of its chunks, as a retain takes it."""
    given = _given(row, chunks)
    item = Item(given, document_id=row["id"])
    origin = Origin(str(place / "documents"), number + 1)
    size_bytes = sum(len(chunk.text.encode("utf-8", "surrogatepass")) for chunk in given.chunks)
    return Gathered(bank, row["id"], (item,), (origin,), len(given.chunks), size_bytes)


def is_same(document: Gathered, stored: Document) -> bool:
    """Whether the bank has the document as it would be imported."""
    given = document.items[0].content
    if not isinstance(given, GivenDocument) or stored.open:
        return False
    content = digest(*(chunk.separator + chunk.digest for chunk in given.chunks), given.tail).hex()
    return stored.content_hash == content and (stored.tags, dict(stored.metadata), stored.context) == (
        given.tags, dict(given.metadata), given.context,
    )  # fmt: skip


async def import_profile(client: "BankClient", scope: Scope, profile: Mapping[str, Any]) -> None:
    """Make the bank, and set what the profile says and the bank does not have yet."""
    head = await client.find_head(scope)
    profile = {key: value for key, value in profile.items() if key != SCOPE}  # another bank may have it here
    missing = {key: value for key, value in profile.items() if head is None or head.profile.get(key) != value}
    if missing or head is None:
        name = orjson.dumps(missing, option=orjson.OPT_SORT_KEYS, default=str).decode()
        seq = str(head.seq) if head is not None else ""
        await client.update_bank(scope, UpdateBank(point_id(scope, "import profile", name, seq), missing))


def superseded_rows(place: Path, files: Sequence[TableFile]) -> set[int]:
    """Numbers of rows that a later one of the same document replaces."""
    if not files:
        return set()
    rows = pl.scan_parquet([place / file.path for file in files]).select("id").with_row_index("row")
    late = rows.group_by("id").agg(pl.col("row"), pl.len().alias("rows")).filter(pl.col("rows") > 1).collect()
    return {row for found in late["row"].to_list() for row in sorted(found)[:-1]}


def _given(row: Mapping[str, Any], chunks: Sequence[Mapping[str, Any]]) -> GivenDocument:
    return GivenDocument(
        chunks=tuple(map(_chunk, chunks)),
        tail=row["tail"],
        version=row["version"],
        created_at=row["created_at"].astimezone(UTC),
        updated_at=row["updated_at"].astimezone(UTC),
        tags=tuple(row["tags"] or ()),
        metadata=orjson.loads(row["metadata"]),
        context=row["context"],
    )


def _chunk(row: Mapping[str, Any]) -> GivenChunk:
    return GivenChunk(
        text=row["text"],
        separator=row["separator"],
        digest=row["digest"],
        item=row["item"],
        type=UnitType(row["type"]),
        speaker=row["speaker"],
        role=row["role"],
        mentioned_at=row["mentioned_at"] and row["mentioned_at"].astimezone(UTC),
        recorded_at=row["recorded_at"] and row["recorded_at"].astimezone(UTC),
        context=row["context"],
        tags=tuple(row["tags"] or ()),
        metadata=orjson.loads(row["metadata"]),
        entities=tuple(row["entities"] or ()),
        session=row["session"],
    )
