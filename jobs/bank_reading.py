"""An exported bank -> slices to restore, in the order in which they are: what was said by hand, documents, the rest."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
from numpy.typing import NDArray

from jobs.importing import document_of_rows, superseded_rows
from jobs.parts import Gathered
from jobs.tables import BankExport, read_table
from memory.curation import decode_curation
from memory.encoding import decode_document, decode_unit
from memory.errors import StoreDamaged
from memory.ids import Scope, point_id
from memory.moving import Move, NewId, chunk_ids, derived_id
from memory.records import Record, RecordKind, Unit
from memory.restore_commands import RestoreSlice

SLICE_DOCUMENTS = 64
SLICE_UNITS = 256
SLICE_BYTES = 1 << 20
SLICE_RECORDS = 256


@dataclass(frozen=True, slots=True)
class Family:
    """A document with all that is its alone, as it was exported; `given` is the document as a retain takes it."""

    records: tuple[Record, ...]
    units: tuple[Unit, ...]
    given: Gathered

    @property
    def id(self) -> str:
        """The document's id."""
        return self.records[0].key

    @property
    def size_bytes(self) -> int:
        """Of its texts, roughly."""
        return sum(len(unit.text) for unit in self.units)


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows for one slice: documents, or derived units without a document, or other records."""

    families: tuple[Family, ...] = ()
    units: tuple[Unit, ...] = ()
    records: tuple[Record, ...] = ()

    @property
    def turns(self) -> int:
        """Chunks in it."""
        return sum(family.given.turns for family in self.families)

    def moved(self, scope: Scope, move: Move) -> RestoreSlice:
        """As its new bank takes it; the operation id is made from what it holds."""
        documents = tuple(move.document(family.records, family.units) for family in self.families)
        units, records = tuple(map(move.unit, self.units)), tuple(map(move.record, self.records))
        names = (
            *(f"{one.id}\n{one.records[0].body['content_hash']}" for one in documents),
            *(unit.id for unit in units),
            *(f"{record.kind.value}\n{record.key}" for record in records),
        )
        return RestoreSlice(point_id(scope, "restore", str(move.base), *names), documents, units, records)


class ExportedBank:
    """Reads one bank of an export, each table from its beginning, a batch of rows in memory."""

    def __init__(self, directory: Path, exported: BankExport) -> None:
        self._place = directory / exported.directory
        self._exported = exported

    def phases(self, bank: str) -> Iterator[Iterator[Piece]]:
        """Pieces; those of a phase may be written in any order, a phase after the one before."""
        yield _cut(self._records("said"))
        yield self._documents(bank)
        yield self._units()
        yield _cut(record for table in ("sessions", "operations", "others") for record in self._records(table))

    def new_ids(self, source: Scope, target: Scope) -> NewId:
        """Ids of the bank's units in another bank, some 40 bytes of memory each; in its own, as they are."""
        if source == target:
            return _same
        told = self._told()
        ids = IdTable()
        for family in self._families(target.bank):
            chunks = chunk_ids(target, decode_document(family.id, family.records[0].body))
            ids.add(chunks)
            facts = [unit for unit in family.units if unit.id not in chunks]
            ids.add({u.id: derived_id(source, target, u, told.get(u.id, ()), _of(chunks)) for u in facts})
        ids.close()
        for unit in self._without_document():
            ids.add({unit.id: derived_id(source, target, unit, (), ids.find)})
        for record in self._records("said"):
            if record.kind is RecordKind.CURATION:
                unit = decode_curation(record).unit
                ids.add({unit.id: derived_id(source, target, unit, told.get(unit.id, ()), ids.find)})
        ids.close()
        return ids.find

    def _told(self) -> dict[str, tuple[str, ...]]:
        """Texts that facts had before they were corrected."""
        return {
            record.key: tuple(dict.fromkeys(entry["text"] for entry in record.body["history"]))
            for record in self._records("said")
            if record.kind is RecordKind.CURATION
        }

    def _documents(self, bank: str) -> Iterator[Piece]:
        held: list[Family] = []
        units = size_bytes = 0
        for family in self._families(bank):
            full = units + len(family.units) > SLICE_UNITS or size_bytes + family.size_bytes > SLICE_BYTES
            if held and (full or len(held) >= SLICE_DOCUMENTS):
                yield Piece(families=tuple(held))
                held, units, size_bytes = [], 0, 0
            held.append(family)
            units, size_bytes = units + len(family.units), size_bytes + family.size_bytes
        if held:
            yield Piece(families=tuple(held))

    def _families(self, bank: str) -> Iterator[Family]:
        """Documents; of one that was exported repeatedly the last version."""
        chunks, derived, records = self._rows("chunks"), self._rows("derived"), self._rows("records")
        superseded = superseded_rows(self._place, self._exported.tables.get("documents", ()))
        for number, row in enumerate(self._rows("documents")):
            mine = [next(chunks, None) for _ in range(row["chunks"])]
            facts = [next(derived, None) for _ in range(row["derived"])]
            own = [next(records, None) for _ in range(row["records"])]
            wrong = any(chunk is None or chunk["document_id"] != row["id"] for chunk in mine)
            if wrong or None in facts or not own or own[0] is None or own[0]["key"] != row["id"]:
                raise StoreDamaged(f"{self._place}: not all of document {row['id']!r} is there: copy the export again")
            if number in superseded:
                continue
            texts = [chunk for chunk in mine if chunk is not None]
            units = [decode_unit(c["id"], {**orjson.loads(c["unit"]), "text": c["text"]}) for c in texts]
            units += [_unit(fact) for fact in facts if fact is not None]
            given = document_of_rows(bank, self._place, number, row, texts)
            yield Family(tuple(_record(one) for one in own if one is not None), tuple(units), given)

    def _units(self) -> Iterator[Piece]:
        held: list[Unit] = []
        for unit in self._without_document():
            held.append(unit)
            if len(held) == SLICE_UNITS:
                yield Piece(units=tuple(held))
                held = []
        if held:
            yield Piece(units=tuple(held))

    def _without_document(self) -> Generator[Unit, None, None]:
        """Derived units that stand behind those of documents, the oldest first: some are derived from others."""
        of_documents = sum(row["derived"] for row in self._rows("documents"))
        files = self._exported.tables.get("derived", ())
        if not files or sum(file.rows for file in files) <= of_documents:
            return
        rows = pl.scan_parquet([self._place / file.path for file in files]).slice(of_documents).collect()
        units = map(_unit, rows.iter_rows(named=True))
        yield from sorted(units, key=lambda unit: (unit.seq, unit.id))

    def _records(self, table: str) -> Iterator[Record]:
        return map(_record, self._rows(table))

    def _rows(self, table: str) -> Iterator[dict[str, Any]]:
        return read_table(self._place, self._exported.tables.get(table, ()))


class IdTable:
    """New ids of units by their old ones, 32 bytes each, found by halving."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._keys: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._pairs: NDArray[np.uint8] = np.zeros((0, 32), np.uint8)

    def add(self, ids: Mapping[str, str]) -> None:
        """Some more; they are found once it was closed."""
        for old, new in ids.items():
            self._open += _packed(old) + _packed(new)

    def close(self) -> None:
        """All that was added is found."""
        added = np.frombuffer(bytes(self._open), np.uint8).reshape(-1, 32)
        self._open.clear()
        pairs = np.concatenate([self._pairs, added])
        keys = pairs[:, 8:16].copy().view(">u8")[:, 0].astype(np.uint64)
        order = np.argsort(keys, kind="stable")
        self._keys, self._pairs = keys[order], pairs[order]

    def find(self, old: str) -> str:
        """The new id; what is none of the old ones stays as it is."""
        if len(old) != _ID_CHARS or (packed := _try_packed(old)) is None:
            return old
        key = np.uint64(int.from_bytes(packed[8:], "big"))
        at = int(np.searchsorted(self._keys, key))
        while at < len(self._keys) and self._keys[at] == key:
            pair = self._pairs[at].tobytes()
            if pair[:16] == packed:
                return _unpacked(pair[16:])
            at += 1
        return old


_ID_CHARS = 36


def _packed(id_: str) -> bytes:
    return bytes.fromhex(id_.replace("-", ""))


def _try_packed(text: str) -> bytes | None:
    try:
        packed = _packed(text)
    except ValueError:
        return None
    return packed if _unpacked(packed) == text else None


def _unpacked(packed: bytes) -> str:
    text = packed.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _cut(records: Iterator[Record]) -> Iterator[Piece]:
    held: list[Record] = []
    for record in records:
        held.append(record)
        if len(held) == SLICE_RECORDS:
            yield Piece(records=tuple(held))
            held = []
    if held:
        yield Piece(records=tuple(held))


def _record(row: Mapping[str, Any]) -> Record:
    body = orjson.loads(row["body"])
    return Record(RecordKind(row["kind"]), row["key"], body, order=row["order"], status=row["status"])


def _unit(row: Mapping[str, Any]) -> Unit:
    return decode_unit(row["id"], orjson.loads(row["unit"]))


def _same(unit_id: str) -> str:
    return unit_id


def _of(ids: Mapping[str, str]) -> NewId:
    return lambda old: ids.get(old, old)
