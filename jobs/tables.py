"""Tables of an export: Parquet files of bounded size with checksums, and the manifest that names them all.

    manifest.json            written last; what is not in it is no part of the export
    banks/NAME/bank.json     a bank's profile and counts, and its files
    banks/NAME/TABLE-00000.parquet ...

A table that an import does not know is left alone, so that later versions can add some.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import polars as pl
from polars.datatypes import DataTypeClass

from jobs.whole_files import write_whole
from memory.errors import StoreDamaged, Unprocessable
from memory.ids import digest

FORMAT = "lorebank-export"
VERSION = 2
"""1: texts alone can be imported."""
MANIFEST = "manifest.json"
BANK = "bank.json"
FILE_BYTES = 16 << 20
"""Rows are written to a file once they hold so much text."""
ROW_BYTES = 200
"""What a row takes beside its texts, roughly."""

Schema = Mapping[str, pl.DataType | DataTypeClass]
_TIME = pl.Datetime("us", "UTC")
DOCUMENTS: Schema = {
    "id": pl.String, "version": pl.Int64, "seq": pl.Int64, "created_at": _TIME, "updated_at": _TIME,
    "text": pl.String, "tail": pl.String, "chunks": pl.Int64, "content_hash": pl.String, "context": pl.String,
    "tags": pl.List(pl.String), "metadata": pl.String, "open": pl.Boolean, "derived": pl.Int64, "records": pl.Int64,
}  # fmt: skip
CHUNKS: Schema = {
    "document_id": pl.String, "place": pl.Int64, "id": pl.String, "text": pl.String, "separator": pl.String,
    "speaker": pl.String, "role": pl.String, "type": pl.String, "item": pl.Int64, "mentioned_at": _TIME,
    "recorded_at": _TIME, "context": pl.String, "tags": pl.List(pl.String), "metadata": pl.String,
    "entities": pl.List(pl.String), "digest": pl.String, "session": pl.String, "seq": pl.Int64, "unit": pl.String,
}  # fmt: skip
DERIVED: Schema = {"id": pl.String, "kind": pl.String, "document_id": pl.String, "text": pl.String, "unit": pl.String}
RECORDS: Schema = {
    "key": pl.String, "status": pl.String, "order": pl.Int64, "body": pl.String, "kind": pl.String,
}  # fmt: skip
EVENTS: Schema = {"commit": pl.Int64, "type": pl.String, "operation_id": pl.String, "at": _TIME}
TABLES: Mapping[str, Schema] = {
    "documents": DOCUMENTS, "chunks": CHUNKS, "derived": DERIVED, "records": RECORDS, "said": RECORDS,
    "sessions": RECORDS, "operations": RECORDS, "others": RECORDS, "events": EVENTS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file of a table; `path` is relative to the bank's directory."""

    path: str
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BankExport:
    """What is exported of one bank."""

    bank: str
    directory: str
    seq: int
    profile: Mapping[str, Any]
    created_at: str | None
    counts: Mapping[str, int]
    tables: Mapping[str, tuple[TableFile, ...]]
    moving: bool = False
    """Whether it was written to all the time: each document is whole, they may not be of one moment."""
    incomplete_before: str | None = None
    """As of an earlier instant, what was told by then may have been gone from it already."""
    highest_seq: int | None = None
    """None: its texts alone are there, by an earlier version."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything of an export."""

    tenant: str
    created_at: str
    banks: tuple[BankExport, ...] = field(default_factory=tuple)


class TableWriter:
    """Rows of one table -> files."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._schema = TABLES[name]
        self._rows: list[Mapping[str, Any]] = []
        self._size_bytes = 0
        self.files: list[TableFile] = []
        self.rows = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """One row; a file is written where enough are together."""
        self._rows.append(row)
        self.rows += 1
        self._size_bytes += ROW_BYTES + sum(len(value) for value in row.values() if isinstance(value, str))
        if self._size_bytes >= FILE_BYTES:
            self._write()

    def close(self) -> tuple[TableFile, ...]:
        """The files, all of them written."""
        if self._rows:
            self._write()
        return tuple(self.files)

    def _write(self) -> None:
        path = self._directory / f"{self._name}-{len(self.files):05d}.parquet"
        pl.DataFrame(self._rows, schema=self._schema, strict=False).write_parquet(path, compression="zstd")
        self.files.append(TableFile(path.name, len(self._rows), path.stat().st_size, checksum(path)))
        self._rows, self._size_bytes = [], 0


def read_table(directory: Path, files: Sequence[TableFile]) -> Iterator[dict[str, Any]]:
    """Rows of a table in order, a batch of them in memory."""
    for file in files:
        for frame in pl.scan_parquet(directory / file.path).collect_batches(chunk_size=2048, maintain_order=True):
            yield from frame.iter_rows(named=True)


def bank_directory(bank: str) -> str:
    """Name of a bank's directory: readable, and no two banks share one."""
    return f"{quote(bank, safe='')[:60]}-{digest(bank).hex()[:8]}"


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(directory: Path, bank: BankExport) -> None:
    """See that every file of a bank is there and as it was written.

    Raises:
        StoreDamaged: one is not; nothing of the bank should be imported.
    """
    for files in bank.tables.values():
        check_files(directory / bank.directory, files)


def check_files(place: Path, files: Sequence[TableFile]) -> None:
    """See that files are there and as they were written.

    Raises:
        StoreDamaged: one is not.
    """
    for file in files:
        path = place / file.path
        if not path.is_file():
            raise StoreDamaged(f"{path} is missing: copy the export again")
        if path.stat().st_size != file.size_bytes or checksum(path) != file.sha256:
            raise StoreDamaged(f"{path} is not as it was written: copy the export again")


def write_bank(directory: Path, bank: BankExport) -> None:
    """File what was exported of a bank; the bank is done then."""
    write_whole(directory / bank.directory / BANK, _encode_bank(bank))


def find_bank(directory: Path, name: str) -> BankExport | None:
    """A bank that is done; None where it is not."""
    path = directory / name / BANK
    return _decode_bank(orjson.loads(path.read_bytes())) if path.is_file() else None


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """File the manifest; the export is done then."""
    banks = [_encode_bank(bank) for bank in manifest.banks]
    head = {"format": FORMAT, "version": VERSION, "tenant": manifest.tenant, "created_at": manifest.created_at}
    write_whole(directory / MANIFEST, {**head, "banks": banks})


def read_manifest(directory: Path) -> Manifest:
    """The manifest of an export.

    Raises:
        Unprocessable: there is none, or it is of a later version.
    """
    path = directory / MANIFEST
    if not path.is_file():
        raise Unprocessable(f"{directory} is no finished export: it has no {MANIFEST}")
    try:
        body = orjson.loads(path.read_bytes())
        if body["format"] != FORMAT or body["version"] > VERSION:
            raise Unprocessable(f"{path}: {body['format']} of version {body['version']} is not known to this version")
        return Manifest(body["tenant"], body["created_at"], tuple(map(_decode_bank, body["banks"])))
    except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
        raise Unprocessable(f"{path} is no manifest of an export: {exc}") from exc


def _encode_bank(bank: BankExport) -> dict[str, Any]:
    tables = {
        name: [{"path": f.path, "rows": f.rows, "bytes": f.size_bytes, "sha256": f.sha256} for f in files]
        for name, files in bank.tables.items()
    }
    return {
        "bank": bank.bank, "directory": bank.directory, "seq": bank.seq, "profile": dict(bank.profile),
        "created_at": bank.created_at, "counts": dict(bank.counts), "moving": bank.moving, "tables": tables,
        "incomplete_before": bank.incomplete_before, "highest_seq": bank.highest_seq,
    }  # fmt: skip


def _decode_bank(body: Mapping[str, Any]) -> BankExport:
    tables = {
        name: tuple(TableFile(f["path"], f["rows"], f["bytes"], f["sha256"]) for f in files)
        for name, files in body["tables"].items()
    }
    return BankExport(
        bank=body["bank"],
        directory=body["directory"],
        seq=body["seq"],
        profile=body["profile"],
        created_at=body["created_at"],
        counts=body["counts"],
        tables=tables,
        moving=body["moving"],
        incomplete_before=body.get("incomplete_before"),
        highest_seq=body.get("highest_seq"),
    )
