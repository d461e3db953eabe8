"""The raw reads of audits, over every engine: everything of one bank in any state, and what belongs to none."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.audit_calls import FindUnlike, RawPage, ScanRecords, ScanUnits, ScopePage, Stray
from memory.ids import SYSTEM, Scope
from memory.records import Head, Record, RecordKind
from memory.store_calls import CreateHead, InsertUnits, RemoveRecords, WriteRecords
from storage import schema
from storage.edge_store import EdgeStore
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM, fresh_scope, new_unit, put_live

OPERATION = RecordKind.OPERATION


@pytest.fixture(params=["reference", "edge"])
def empty(request, tmp_path):
    """An engine of the test's own: what belongs to no bank is asked of the whole store."""
    engine = ReferenceStore(DIM) if request.param == "reference" else EdgeStore(tmp_path, DIM)
    yield engine
    engine.close()


def fill(engine, scope: Scope, units: int = 5) -> None:
    """Live, pending and removed things, and a head."""
    engine.call(scope, CreateHead(Head(epoch=1, exists=True)))
    put_live(engine, scope, *(new_unit(scope, f"live {n}", tags=("x",)) for n in range(units)), seq=2)
    engine.call(scope, InsertUnits((new_unit(scope, "pending", epoch=3),)))
    engine.call(scope, WriteRecords(tuple(Record(OPERATION, f"op-{n}", {"n": n}, seq=1, order=n) for n in range(4))))
    engine.call(scope, WriteRecords((Record(RecordKind.DOCUMENT, "d", {"text": "x"}, seq=1),)))
    engine.call(scope, RemoveRecords(RecordKind.DOCUMENT, ("d",), 5, 1, 7))


def pages(engine, scope: Scope, call, limit: int, *more) -> list[RawPage]:
    found, start = [], None
    while True:
        page = engine.call(scope, call(start, limit, *more))
        found.append(page)
        start = page.next
        if start is None:
            return found


@pytest.mark.parametrize("limit", [1, 2, 4, 6, 100])
def test_pages_hold_everything_of_the_bank_once_in_the_order_of_ids(engine, limit):
    scope, other = fresh_scope(), fresh_scope()
    fill(engine, scope)
    fill(engine, other)
    for call, total in ((ScanUnits, 6), (ScanRecords, 6)):
        found = pages(engine, scope, call, limit)
        points = [point for page in found for point, _ in page.points]
        assert points == sorted(points)
        assert len(set(points)) == len(points) == total
        assert all(len(page.points) == limit for page in found[:-1])
        assert {payload["bank_key"] for page in found for _, payload in page.points} == {scope.key}


def test_payloads_are_as_they_are_stored(engine):
    scope = fresh_scope()
    fill(engine, scope)
    units = {payload["text"]: payload for _, payload in engine.call(scope, ScanUnits(None, 100)).points}
    assert {text: payload["state"] for text, payload in units.items()} == {
        **{f"live {n}": "live" for n in range(5)},
        "pending": "pending",
    }
    pending, live = units["pending"], units["live 0"]
    assert (pending["epoch"], live["seq"], live["tags"], live["tenant"], live["bank"]) == (
        3,
        2,
        ["x"],
        scope.tenant,
        scope.bank,
    )
    records = {(p["kind"], p["key"]): p for _, p in engine.call(scope, ScanRecords(None, 100)).points}
    removed, head = records["document", "d"], records["head", "head"]
    assert (removed["status"], removed["body"], removed["seq"]) == ("removed", "{}", 5)
    assert (head["status"], head["commit"], head["nonce"]) == ("exists", 0, "")


def test_records_of_one_kind_can_be_asked_for(engine):
    scope = fresh_scope()
    fill(engine, scope)
    found = pages(engine, scope, ScanRecords, 3, OPERATION)
    assert [payload["kind"] for page in found for _, payload in page.points] == ["operation"] * 4


def test_units_whose_keyword_vector_is_not_that_of_a_text_are_found(engine):
    scope, other = fresh_scope(), fresh_scope()
    one, two, none = (put_live(engine, scope, new_unit(scope, text))[0] for text in ("red apple", "boat", "the of"))
    theirs = put_live(engine, other, new_unit(other, "red apple"))[0]
    same = {one: "red apple", two: "boat", none: "of the"}
    assert engine.call(scope, FindUnlike({})) == frozenset()
    assert engine.call(scope, FindUnlike(same)) == frozenset()
    assert engine.call(scope, FindUnlike({one: "red apple pie", two: "the", none: "words", theirs: "boat"})) == {
        one,
        two,
        none,
    }


def test_a_bank_never_written_to_has_nothing(engine):
    scope = fresh_scope()
    assert engine.call(scope, ScanUnits(None, 10)) == engine.call(scope, ScanRecords(None, 10)) == RawPage((), None)


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_every_bank_with_a_head_is_listed_whatever_its_head_says(empty, limit):
    heads = [Head(exists=True), Head(deleted=True), Head(), Head(exists=True)]
    scopes = [Scope(tenant, f"b/{n}") for n, tenant in enumerate(["a", "a", "ü", ""])]
    for scope, head in zip(scopes, heads, strict=True):
        empty.call(scope, CreateHead(head))
    empty.call(SYSTEM, WriteRecords((Record(RecordKind.RING, "ring", {}),)))
    found, start = [], None
    while True:
        page = empty.list_scopes(start, limit)
        found.extend(page.scopes)
        if page.next is None:
            break
        start = page.next
    assert sorted(found, key=lambda scope: scope.key) == sorted(scopes, key=lambda scope: scope.key)


def test_points_of_banks_without_a_head_are_counted_and_nothing_else(empty):
    assert empty.list_scopes(None, 10) == ScopePage((), None)
    assert empty.list_strays() == ()
    sound, lost = fresh_scope(), fresh_scope()
    fill(empty, sound)
    empty.call(SYSTEM, WriteRecords((Record(RecordKind.RING, "ring", {}),)))
    put_live(empty, lost, new_unit(lost, "a"), new_unit(lost, "b"))
    empty.call(lost, WriteRecords((Record(OPERATION, "op", {}),)))
    assert empty.list_strays() == (Stray("units", lost.key, 2), Stray("records", lost.key, 1))
    empty.call(lost, CreateHead(Head()))
    assert empty.list_strays() == ()


def test_points_that_name_no_bank_are_strays_but_the_stores_own(tmp_path):
    from qdrant_edge import Point, UpdateOperation

    store = EdgeStore(tmp_path, DIM)
    ids = [f"00000000-0000-8000-8000-00000000000{n}" for n in range(3)]
    kinds = [schema.RESERVED_KINDS[0], "chunk", "fact"]
    points = [Point(point, {}, {"kind": kind}) for point, kind in zip(ids, kinds, strict=True)]
    store._units.update(UpdateOperation.upsert_points(points))
    store._records.update(UpdateOperation.upsert_points(points[:1]))
    assert store.list_strays() == (Stray("units", None, 2),)
    store.close()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 12), st.integers(1, 13))
def test_engines_page_alike(edge, reference, units, limit):
    scope = fresh_scope()
    for engine in (edge, reference):
        fill(engine, scope, units)
    for call in (ScanUnits, ScanRecords):
        one, other = pages(edge, scope, call, limit), pages(reference, scope, call, limit)
        assert one == other
