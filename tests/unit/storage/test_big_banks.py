"""What is done differently for big banks, so that nothing holds readers up for long, answers the same."""

import mmap
import os
from collections.abc import Mapping
from typing import Any

import pytest
from qdrant_edge import Point, ScrollRequest, UpdateOperation

from memory.audit_calls import ScanRecords, ScanUnits
from memory.ids import BUCKETS, Scope, first_id, unit_id
from memory.records import Head, Record, RecordKind
from memory.store_calls import ClearBank, CreateHead, ListUnits, ReadHead, WriteRecords
from storage import edge_bank_scroll, edge_scroll, schema
from storage.edge_store import EdgeStore
from storage.write_back import write_back
from tests.support.builders import DIM, fresh_scope, new_unit, put_live, put_texts
from tests.support.mappings import dirty_bytes

RANGE_POINTS = 40
STRETCH = edge_bank_scroll._STRETCH_BUCKETS
OUTSIDE = ("00000000-0000-8000-8000-000000000000", "ffffffff-ffff-8fff-bfff-ffffffffffff")
"""Ids that no point of these banks should have: below and above its bucket's."""


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(edge_bank_scroll, "RANGE_POINTS", RANGE_POINTS)
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
    return [point for point, _ in points_of(store, scope, kind, limit)]


def points_of(
    store: EdgeStore, scope: Scope, kind: type[ScanUnits] | type[ScanRecords], limit: int
) -> list[tuple[str, Mapping[str, Any]]]:
    found: list[tuple[str, Mapping[str, Any]]] = []
    start, pages = None, 0
    while start is not None or not pages:
        page = store.call(scope, kind(start, limit))
        assert len(page.points) <= limit
        assert all(payload[schema.BANK_KEY] == scope.key for _, payload in page.points)
        found += page.points
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
    start, calls = store.call(scope, ClearBank(9, 1, 0, limit=16)), 1
    while start is not None:
        units = store._units.info().points_count
        start, calls = store.call(scope, ClearBank(9, 1, 0, start, 16)), calls + 1
        assert units - store._units.info().points_count <= 16
    assert calls >= (len(texts) + len(records)) // 16
    assert scanned(store, scope, ScanUnits, 50) == list(kept)
    assert scanned(store, other, ScanUnits, 50) == sorted(others)
    assert store.call(scope, ReadHead()) == Head(epoch=1)
    stored = points_of(store, scope, ScanRecords, 50)
    statuses = [payload.get(schema.STATUS) for _, payload in stored if payload[schema.KIND] == "operation"]
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


def test_no_page_walks_past_what_others_hold(store, monkeypatch):
    """Each scroll with a filter ends within a stretch of buckets: the engine lets no reader run in it."""
    scope, _ = neighbours()
    others = [fresh_scope() for _ in range(300)]
    for other in others:
        put_texts(store, other, ["one"])
    mine = put_texts(store, scope, [f"item {n}" for n in range(2 * RANGE_POINTS)])
    everything = sorted(str(point.id) for point in store._units.scroll(ScrollRequest(limit=1000))[0])
    walked = []

    class Watched:
        """The engine, noting how many ids lie between a scroll's start and the last one it looks at."""

        def __init__(self, shard):
            self._shard = shard

        def __getattr__(self, name):
            return getattr(self._shard, name)

        def scroll(self, request):
            records, following = self._shard.scroll(request)
            start = request.offset or everything[0]
            end = "g" if following is None else str(following)
            walked.append(sum(str(start) <= point < end for point in everything))
            return records, following

    watched, found, start = Watched(store._units), [], None
    while start is not None or not walked:
        page, start = edge_bank_scroll.bank_page(watched, scope, start, 16)
        found += [str(point.id) for point in page]
    assert found == sorted(mine)
    per_stretch = [sum(other.bucket // STRETCH == stretch for other in others) for stretch in range(BUCKETS // STRETCH)]
    assert max(walked) <= max(per_stretch) + 16 + 3
