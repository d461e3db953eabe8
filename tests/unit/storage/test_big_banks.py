"""What is done differently for big banks, so that nothing holds readers up for long, answers the same."""

import mmap
import os
from pathlib import Path

import pytest
from qdrant_edge import Point, UpdateOperation

from memory.audit_calls import ScanRecords, ScanUnits
from memory.ids import BUCKETS, Scope, first_id, unit_id
from memory.records import Head, Record, RecordKind
from memory.store_calls import ClearBank, CreateHead, ListUnits, ReadHead, WriteRecords
from storage import edge_bank_scroll, edge_scroll, schema
from storage.edge_store import EdgeStore
from storage.write_back import write_back
from tests.support.builders import DIM, fresh_scope, new_unit, put_live, put_texts

RANGE_POINTS = 40
OUTSIDE = ("00000000-0000-8000-8000-000000000000", "ffffffff-ffff-8fff-bfff-ffffffffffff")
"""Ids that no point of these banks should have: below and above its bucket's."""


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(edge_bank_scroll, "RANGE_POINTS", RANGE_POINTS)
    monkeypatch.setattr(edge_bank_scroll, "_PAGE_POINTS", 16)
    opened = EdgeStore(tmp_path, DIM)
    yield opened
    opened.close()


def neighbours() -> tuple[Scope, Scope]:
    """Two banks of one bucket that is neither the first nor the last."""
    first = next(scope for scope in iter(fresh_scope, None) if 0 < scope.bucket < BUCKETS - 1)
    second = next(scope for scope in iter(fresh_scope, None) if scope.bucket == first.bucket)
    return first, second


def misplace(store: EdgeStore, scope: Scope) -> None:
    """Store units of the bank under ids of others."""
    keys = {schema.TENANT: scope.tenant, schema.BANK: scope.bank, schema.BANK_KEY: scope.key, schema.STATE: "live"}
    points = [Point(id_, {}, {**keys, schema.SEQ: 1, schema.EPOCH: 1}) for id_ in OUTSIDE]
    store._units.update(UpdateOperation.upsert_points(points))


def scanned(store: EdgeStore, scope: Scope, kind: type[ScanUnits] | type[ScanRecords], limit: int) -> list[str]:
    found: list[str] = []
    start, pages = None, 0
    while start is not None or not pages:
        page = store.call(scope, kind(start, limit))
        assert len(page.points) <= limit
        assert all(payload[schema.BANK_KEY] == scope.key for _, payload in page.points)
        found += [point for point, _ in page.points]
        start, pages = page.next, pages + 1
    return found


def test_the_lowest_ids_of_buckets_enclose_the_ids_of_their_points():
    for scope in [fresh_scope() for _ in range(50)]:
        assert first_id(scope.bucket) <= unit_id(scope, "d", "content", 0) < first_id(scope.bucket + 1)


def test_an_audit_reads_each_point_of_a_bank_once_by_id(store):
    scope, other = neighbours()
    put_texts(store, other, [f"other {n}" for n in range(2 * RANGE_POINTS)])
    misplace(store, scope)
    ids = list(OUTSIDE)
    for units in (1, RANGE_POINTS - len(OUTSIDE) - 2, 1, 2 * RANGE_POINTS):
        ids += put_texts(store, scope, [f"item {n}" for n in range(units)], document_id=f"d{len(ids)}")
        for limit in (1, 16, 1000):
            assert scanned(store, scope, ScanUnits, limit) == sorted(ids), f"{len(ids)} units, pages of {limit}"


def test_a_big_bank_is_cleared_of_all_that_is_older(store):
    scope, other = neighbours()
    texts = [f"item {n}" for n in range(3 * RANGE_POINTS)]
    put_texts(store, scope, texts)
    others = put_texts(store, other, texts)
    misplace(store, scope)
    kept = put_live(store, scope, new_unit(scope, "newer", document_id="later"), seq=9)
    store.call(scope, CreateHead(Head(epoch=1)))
    body = {"task_type": "retain"}
    records = tuple(Record(RecordKind.OPERATION, f"op {n}", body, seq=1, epoch=1) for n in range(2 * RANGE_POINTS))
    store.call(scope, WriteRecords(records))
    store.call(scope, ClearBank(9, 1, 0))
    assert scanned(store, scope, ScanUnits, 50) == list(kept)
    assert scanned(store, other, ScanUnits, 50) == sorted(others)
    assert store.call(scope, ReadHead()) == Head(epoch=1)
    page = store.call(scope, ScanRecords(None, 1000))
    statuses = [payload.get(schema.STATUS) for _, payload in page.points if payload[schema.KIND] == "operation"]
    assert statuses == [schema.REMOVED] * len(records)


def test_every_page_of_a_long_list_follows_the_one_before(tmp_path, monkeypatch):
    monkeypatch.setattr(edge_scroll, "_PAGE_POINTS", 7)
    monkeypatch.setattr(edge_scroll, "_PAYLOADS", 3)
    store, scope = EdgeStore(tmp_path, DIM), fresh_scope()
    wanted: list[tuple[int, str]] = []
    for seq, count in ((1, 3), (2, 20), (5, 1), (6, 7), (9, 2)):
        new = [new_unit(scope, f"item {seq} {n}", document_id=f"d{seq}") for n in range(count)]
        wanted += [(-seq, id_) for id_ in put_live(store, scope, *new, seq=seq)]
    ids = [id_ for _, id_ in sorted(wanted)]
    for limit in (1, 8, 100):
        for offset in (0, 1, 2, 3, 7, 9, 10, 11, 23, 29, 30, 32, 33, 34):
            page = store.call(scope, ListUnits(limit, offset))
            assert ([unit.id for unit in page.units], page.total) == (ids[offset : offset + limit], len(ids))
    store.close()


def dirty_bytes(path: Path) -> int:
    """Bytes of this process's mapping of the file that are not on disk."""
    after = Path("/proc/self/smaps").read_text(encoding="utf-8").split(str(path), 1)[1]
    return sum(
        int(line.split()[1]) << 10
        for line in after.splitlines()[1:16]
        if line.startswith(("Shared_Dirty:", "Private_Dirty:"))
    )


def test_what_a_mapping_changed_is_on_disk_after_a_write_back(tmp_path):
    control, path = tmp_path / "control", tmp_path / "below" / "pages"
    path.parent.mkdir()
    for file in (control, path):
        file.write_bytes(bytes(1 << 20))
    with (
        control.open("r+b") as kept,
        path.open("r+b") as file,
        mmap.mmap(kept.fileno(), 0) as control_map,
        mmap.mmap(file.fileno(), 0) as changed,
    ):
        control_map[:] = changed[:] = b"x" * (1 << 20)
        os.fdatasync(kept.fileno())
        if dirty_bytes(control):
            pytest.skip("this file system keeps its pages dirty")
        assert dirty_bytes(path) == 1 << 20
        write_back(path.parent)
        assert dirty_bytes(path) == 0


def test_a_flush_that_is_wanted_happens_between_the_steps_of_what_writes(store):
    scope = fresh_scope()
    put_texts(store, scope, [f"item {n}" for n in range(200)])
    store.flush()
    assert store.dirty_bytes == 0
    store.call(scope, ClearBank(9, 1, 0))
    whole = store.dirty_bytes
    put_texts(store, scope, [f"item {n}" for n in range(200)])
    store.flush()
    store.flush_soon()
    store.call(scope, ClearBank(9, 1, 0))
    assert 0 < store.dirty_bytes < whole
    assert store.call(scope, ListUnits(1)).total == 0
    store.count_operation()
    assert store._marks._marks.units.points == store._units.info().points_count  # what came after it is counted too
