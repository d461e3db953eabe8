"""The writing calls, over every engine: what each changes, and what its guards keep it from changing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from memory.errors import Unprocessable
from memory.ids import Scope
from memory.records import Head, Record, RecordKind, UnitState, Vectors
from memory.store_calls import (
    ClearBank,
    CountValues,
    CreateHead,
    FindLive,
    GetDense,
    GetRecords,
    GetUnits,
    InsertUnits,
    Lane,
    ListRecords,
    ListUnits,
    MoveUnits,
    NewUnit,
    ReadHead,
    RemoveRecords,
    RetireUnits,
    SearchLanes,
    SetLive,
    SwapHead,
    SweepPending,
    TrimCommits,
    WriteRecords,
)
from tests.support.builders import DIM, dense, fresh_scope, new_unit, put_live, put_texts

OPERATION = RecordKind.OPERATION
COMMIT = RecordKind.COMMIT


@pytest.fixture
def scope() -> Scope:
    return fresh_scope()


def unit(engine, scope, unit_id):
    return engine.call(scope, GetUnits((unit_id,))).get(unit_id)


def stored(engine, scope, *ids) -> set[str]:
    """Ids of units that are there, whatever their state."""
    return set(engine.call(scope, GetDense(ids)))


def record(key: str, *, seq: int = 1, epoch: int = 1, kind: RecordKind = OPERATION, **fields) -> Record:
    return Record(kind, key, fields.pop("body", {"v": seq}), seq=seq, epoch=epoch, **fields)


def bodies(engine, scope, *keys, kind: RecordKind = OPERATION) -> dict:
    return {key: found.body for key, found in engine.call(scope, GetRecords(kind, keys)).items()}


# -- units


def test_a_pending_unit_is_invisible_to_every_read(engine, scope):
    new = new_unit(scope, "red apple", tags=("x",))
    engine.call(scope, InsertUnits((new,)))
    assert unit(engine, scope, new.unit.id) is None
    assert engine.call(scope, ListUnits(10)).total == 0
    assert engine.call(scope, ListUnits(10)).units == ()
    assert engine.call(scope, CountValues("tags", 10)) == {}
    assert engine.call(scope, FindLive((new.unit.id,))) == frozenset()
    assert engine.find_unit(scope.tenant, new.unit.id) is None
    lanes = engine.call(scope, SearchLanes((Lane(10, dense=dense("red apple")), Lane(10, lexical="red apple"))))
    assert [lane.ids for lane in lanes] == [(), ()]
    assert stored(engine, scope, new.unit.id) == {new.unit.id}


def test_a_live_unit_is_found_as_it_was_given(engine, scope):
    new = new_unit(scope, "red apple", tags=("x",), metadata={"k": "v"}, speaker="Ann")
    put_live(engine, scope, new, seq=4, epoch=2)
    assert unit(engine, scope, new.unit.id) == replace(new.unit, state=UnitState.LIVE, seq=4, epoch=2)
    assert engine.find_unit(scope.tenant, new.unit.id) == (scope, unit(engine, scope, new.unit.id))
    assert engine.call(scope, FindLive((new.unit.id, "00000000-0000-8000-8000-000000000000"))) == {new.unit.id}
    assert engine.call(scope, GetDense((new.unit.id,)))[new.unit.id] == pytest.approx(dense("red apple"), abs=1e-6)


def test_inserting_again_leaves_a_live_unit_untouched(engine, scope):
    first, second = new_unit(scope, "one", position=1), new_unit(scope, "one", position=2)
    other = new_unit(scope, "two")
    put_live(engine, scope, first)
    engine.call(scope, InsertUnits((second, other)))
    assert unit(engine, scope, first.unit.id).position == 1
    assert stored(engine, scope, first.unit.id, other.unit.id) == {first.unit.id, other.unit.id}
    assert engine.call(scope, FindLive((first.unit.id, other.unit.id))) == {first.unit.id}


@pytest.mark.parametrize(("seq", "epoch", "replaced"), [(5, 5, True), (6, 9, True), (4, 9, False), (9, 4, False)])
def test_inserting_again_replaces_a_leftover_of_no_higher_seq_or_epoch(engine, scope, seq, epoch, replaced):
    """Else the position and the times of a plan that never committed would become visible with the next one."""
    left = new_unit(scope, "one", position=1, seq=5, epoch=5)
    again = new_unit(scope, "one", position=2, seq=seq, epoch=epoch)
    engine.call(scope, InsertUnits((left,)))
    engine.call(scope, InsertUnits((again, new_unit(scope, "two"))))
    engine.call(scope, SetLive((left.unit.id,), 9, 9))
    assert unit(engine, scope, left.unit.id).position == (2 if replaced else 1)


@pytest.mark.parametrize(
    ("vector", "what"),
    [
        (np.full(DIM, np.nan, np.float32), "a number that is none"),
        (np.full(DIM, np.inf, np.float32), "infinity"),
        (np.array([np.inf, -np.inf] * (DIM // 2), np.float32), "two infinities"),
        (np.ones(DIM - 1, np.float32), "a short vector"),
        (np.ones((1, DIM), np.float32), "a row of a matrix"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_vector_that_is_none_refuses_its_whole_batch(engine, scope, vector, what):
    good, bad = new_unit(scope, "good"), new_unit(scope, "bad")
    bad = NewUnit(bad.unit, Vectors(vector, "bad"))
    with pytest.raises(Unprocessable, match=f"{DIM} finite numbers"):
        engine.call(scope, InsertUnits((good, bad)))
    assert stored(engine, scope, good.unit.id, bad.unit.id) == set()


def test_a_unit_without_vectors_refuses_its_whole_batch(engine, scope):
    good, bad = new_unit(scope, "good"), NewUnit(new_unit(scope, "bad").unit, None)
    with pytest.raises(Unprocessable, match="no vectors"):
        engine.call(scope, InsertUnits((good, bad)))
    assert stored(engine, scope, good.unit.id) == set()


@pytest.mark.parametrize(("seq", "epoch", "changed"), [(5, 5, True), (9, 9, True), (4, 9, False), (9, 4, False)])
def test_making_live_leaves_units_of_a_higher_seq_or_epoch(engine, scope, seq, epoch, changed):
    new = new_unit(scope, "text", seq=5, epoch=5)
    engine.call(scope, InsertUnits((new,)))
    engine.call(scope, SetLive((new.unit.id, "00000000-0000-8000-8000-000000000000"), seq, epoch))
    found = unit(engine, scope, new.unit.id)
    assert (found is not None) == changed
    if found:
        assert (found.seq, found.epoch) == (seq, epoch)


@pytest.mark.parametrize(("seq", "epoch", "gone"), [(6, 5, True), (6, 9, True), (5, 9, False), (9, 4, False)])
def test_retiring_takes_only_units_of_a_lower_seq_and_no_higher_epoch(engine, scope, seq, epoch, gone):
    ids = put_live(engine, scope, new_unit(scope, "text"), new_unit(scope, "other"), seq=5, epoch=5)
    engine.call(scope, RetireUnits(ids[:1], seq, epoch))
    assert stored(engine, scope, *ids) == set(ids[1:] if gone else ids)


def test_retiring_takes_pending_units_too(engine, scope):
    new = new_unit(scope, "text")
    engine.call(scope, InsertUnits((new,)))
    engine.call(scope, RetireUnits((new.unit.id,), 2, 1))
    assert stored(engine, scope, new.unit.id) == set()


@pytest.mark.parametrize(("epoch", "moved"), [(5, True), (6, True), (4, False)])
def test_moving_leaves_units_of_a_higher_epoch(engine, scope, epoch, moved):
    one, two = put_live(engine, scope, new_unit(scope, "a"), new_unit(scope, "b"), seq=5, epoch=5)
    engine.call(scope, MoveUnits({one: 77, two: -3}, epoch))
    assert [unit(engine, scope, i).position for i in (one, two)] == ([77, -3] if moved else [0, 0])
    assert unit(engine, scope, one).seq == 5
    assert unit(engine, scope, one).epoch == (epoch if moved else 5)


def test_sweeping_takes_pending_units_up_to_an_epoch(engine, scope):
    news = [new_unit(scope, f"text {epoch}", epoch=epoch) for epoch in (1, 2, 3)]
    engine.call(scope, InsertUnits(tuple(news)))
    (live,) = put_live(engine, scope, new_unit(scope, "live"))
    engine.call(scope, SweepPending(2))
    assert stored(engine, scope, *(new.unit.id for new in news), live) == {news[2].unit.id, live}


# -- the head


def test_a_bank_never_written_to_has_no_head(engine, scope):
    assert engine.call(scope, ReadHead()) is None
    assert engine.call(scope, SwapHead(Head(), Head(epoch=1), "n")) is False
    assert engine.call(scope, ReadHead()) is None


def test_a_head_is_created_once(engine, scope):
    engine.call(scope, CreateHead(Head(epoch=3)))
    engine.call(scope, CreateHead(Head(epoch=1)))
    assert engine.call(scope, ReadHead()).epoch == 3


def test_of_two_that_saw_the_same_head_one_wins(engine, scope):
    engine.call(scope, CreateHead(Head()))
    assert engine.call(scope, SwapHead(Head(), Head(epoch=1, seq=7), "a")) is True
    assert engine.call(scope, SwapHead(Head(), Head(epoch=1, seq=8), "b")) is False
    assert engine.call(scope, ReadHead()).seq == 7


def test_the_winner_is_told_again_that_it_won(engine, scope):
    """Its answer may have been lost; the nonce in the head is its own."""
    engine.call(scope, CreateHead(Head()))
    for _ in range(2):
        assert engine.call(scope, SwapHead(Head(), Head(epoch=1), "a")) is True


@pytest.mark.parametrize("stale", [{"epoch": 1}, {"commit": 4}, {"settled": 3}, {"epoch": 3}, {"commit": 6}])
def test_a_stale_view_of_the_head_loses(engine, scope, stale):
    now = Head(epoch=2, commit=5, settled=4, counters={"units": 1})
    engine.call(scope, CreateHead(now))
    assert engine.call(scope, SwapHead(replace(now, **stale), replace(now, commit=6), "late")) is False
    assert engine.call(scope, ReadHead()) == now


def test_what_is_not_compared_may_differ(engine, scope):
    engine.call(scope, CreateHead(Head(epoch=2, seq=9, profile={"a": 1})))
    assert engine.call(scope, SwapHead(Head(epoch=2), Head(epoch=2, commit=1, profile={"b": 2}), "n")) is True
    assert engine.call(scope, ReadHead()).profile == {"b": 2}


def test_heads_are_listed_by_name_where_the_bank_exists(engine):
    tenant = fresh_scope().tenant
    for bank, head in {
        "b": Head(exists=True),
        "a": Head(exists=True, counters={"units": 3}),
        "gone": Head(deleted=True),
        "empty": Head(),
        "c": Head(exists=True),
    }.items():
        engine.call(Scope(tenant, bank), CreateHead(head))
    page = engine.list_heads(tenant, 2, 0)
    assert ([bank for bank, _ in page.banks], page.total) == (["a", "b"], 3)
    assert page.banks[0][1].counters == {"units": 3}
    assert [bank for bank, _ in engine.list_heads(tenant, 10, 2).banks] == ["c"]
    assert engine.list_heads(tenant, 10, 9).total == 3
    assert engine.list_heads("nobody", 10, 0).banks == ()


def test_banks_that_are_due_are_found_whatever_their_tenant(engine):
    scopes = [fresh_scope() for _ in range(4)]
    now = datetime(2000, 1, 1, tzinfo=UTC)  # before any other test's
    dues = [now, now - timedelta(days=1), now + timedelta(microseconds=1), None]
    for scope, due in zip(scopes, dues, strict=True):
        engine.call(scope, CreateHead(Head(due_at=due, deleted=due == now)))
    assert set(engine.list_due(now, 10)) == set(scopes[:2])
    assert len(engine.list_due(now, 1)) == 1
    assert engine.list_due(now - timedelta(days=2), 10) == ()
    engine.call(scopes[0], SwapHead(Head(), Head(epoch=1), "n"))
    assert engine.list_due(now, 10) == (scopes[1],)


# -- records


def test_a_record_is_overwritten_by_one_that_is_not_older(engine, scope):
    engine.call(scope, WriteRecords((record("k", seq=5, epoch=5),)))
    for seq, epoch, body in [(4, 5, "older"), (9, 4, "stale"), (4, 9, "lower"), (5, 5, "same"), (6, 6, "newer")]:
        engine.call(scope, WriteRecords((record("k", seq=seq, epoch=epoch, body={"v": body}),)))
        expected = {"older": 5, "stale": 5, "lower": 5, "same": "same", "newer": "newer"}[body]
        assert bodies(engine, scope, "k") == {"k": {"v": expected}}


def test_records_of_several_stamps_are_guarded_each_by_its_own(engine, scope):
    engine.call(scope, WriteRecords((record("a", seq=5), record("b", seq=1))))
    engine.call(scope, WriteRecords((record("a", seq=3), record("b", seq=3), record("c", seq=7))))
    assert bodies(engine, scope, "a", "b", "c", "absent") == {"a": {"v": 5}, "b": {"v": 3}, "c": {"v": 7}}


def test_a_records_kind_is_part_of_its_name(engine, scope):
    engine.call(scope, WriteRecords((record("k"), record("k", kind=RecordKind.DOCUMENT, body={"d": 1}))))
    assert bodies(engine, scope, "k") == {"k": {"v": 1}}
    assert bodies(engine, scope, "k", kind=RecordKind.DOCUMENT) == {"k": {"d": 1}}


@pytest.mark.parametrize(("seq", "epoch", "gone"), [(6, 5, True), (5, 5, False), (6, 4, False)])
def test_removing_a_record_is_guarded_like_retiring(engine, scope, seq, epoch, gone):
    both = (record("k", seq=5, epoch=5), record("other", seq=5, epoch=5))
    engine.call(scope, WriteRecords((*both, record("k", seq=5, epoch=5, kind=COMMIT))))
    engine.call(scope, RemoveRecords(OPERATION, ("k", "absent"), seq, epoch, 7))
    assert ("k" not in bodies(engine, scope, "k")) == gone
    assert set(bodies(engine, scope, "other")) == {"other"}
    assert set(bodies(engine, scope, "k", kind=COMMIT)) == {"k"}


@pytest.mark.parametrize(
    "removal", [RemoveRecords(OPERATION, ("k",), 6, 5, 7), ClearBank(6, 5, 7)], ids=lambda r: type(r).__name__
)
def test_what_was_removed_is_made_anew_only_by_a_later_write(engine, scope, removal):
    """A former owner may write late what a later one removed."""
    engine.call(scope, WriteRecords((record("k", seq=5, epoch=5),)))
    engine.call(scope, removal)
    for late in (record("k", seq=5, epoch=5), record("k", seq=9, epoch=4)):
        engine.call(scope, WriteRecords((late,)))
        assert bodies(engine, scope, "k") == {}
        assert engine.call(scope, ListRecords(OPERATION, 10)).total == 0
    engine.call(scope, WriteRecords((record("k", seq=7, epoch=5),)))
    assert bodies(engine, scope, "k") == {"k": {"v": 7}}
    assert engine.call(scope, ListRecords(OPERATION, 10)).total == 1


def test_commits_up_to_a_number_are_trimmed(engine, scope):
    engine.call(scope, WriteRecords(tuple(record(f"c{n}", kind=COMMIT, order=n) for n in range(1, 6))))
    engine.call(scope, WriteRecords((record("op", order=1),)))
    engine.call(scope, TrimCommits(3))
    assert set(bodies(engine, scope, *(f"c{n}" for n in range(1, 6)), kind=COMMIT)) == {"c4", "c5"}
    engine.call(scope, TrimCommits(-5))
    assert engine.call(scope, ListRecords(COMMIT, 10)).total == 2
    assert set(bodies(engine, scope, "op")) == {"op"}


def test_clearing_a_bank_takes_everything_older_but_head_and_commits(engine, scope):
    ids = put_texts(engine, scope, ["a", "b"])
    (late,) = put_live(engine, scope, new_unit(scope, "late"), seq=9, epoch=1)
    (later,) = put_live(engine, scope, new_unit(scope, "later"), seq=2, epoch=3)
    pending = new_unit(scope, "pending")
    engine.call(scope, InsertUnits((pending,)))
    engine.call(scope, CreateHead(Head(epoch=1)))
    old = (record("old"), record("doc", kind=RecordKind.DOCUMENT), record("c", kind=COMMIT))
    engine.call(scope, WriteRecords((*old, record("new", seq=9), record("theirs", epoch=3))))
    engine.call(scope, ClearBank(9, 2, 7))
    assert stored(engine, scope, *ids, late, later, pending.unit.id) == {late, later}
    assert set(bodies(engine, scope, "old", "new", "theirs")) == {"new", "theirs"}
    assert bodies(engine, scope, "doc", kind=RecordKind.DOCUMENT) == {}
    assert set(bodies(engine, scope, "c", kind=COMMIT)) == {"c"}
    assert engine.call(scope, ReadHead()) == Head(epoch=1)


@pytest.mark.parametrize(
    "write",
    [
        lambda ids: SetLive(ids, 9, 9),
        lambda ids: MoveUnits(dict.fromkeys(ids, 5), 9),
        lambda ids: RetireUnits(ids, 9, 9),
        lambda ids: RemoveRecords(OPERATION, ("k",), 9, 9, 7),
        lambda ids: ClearBank(9, 9, 7),
        lambda ids: SweepPending(9),
        lambda ids: TrimCommits(9),
        lambda ids: SwapHead(Head(), Head(epoch=9), "theirs"),
        lambda ids: CreateHead(Head(epoch=9)),
        lambda ids: WriteRecords((record("k", seq=9, epoch=9),)),
    ],
    ids=lambda write: type(write(())).__name__,
)
@pytest.mark.parametrize("other", ["another bank", "another tenant"])
def test_a_write_changes_nothing_of_another_bank(engine, scope, write, other):
    near = Scope(scope.tenant, "elsewhere") if other == "another bank" else Scope(f"{scope.tenant}x", scope.bank)
    (live,) = put_live(engine, scope, new_unit(scope, "live"))
    pending = new_unit(scope, "pending")
    engine.call(scope, InsertUnits((pending,)))
    engine.call(scope, CreateHead(Head()))
    engine.call(scope, WriteRecords((record("k"), record("c", kind=COMMIT, order=1))))
    before = unit(engine, scope, live)
    engine.call(near, write((live, pending.unit.id)))
    assert unit(engine, scope, live) == before
    assert stored(engine, scope, live, pending.unit.id) == {live, pending.unit.id}
    assert engine.call(scope, ReadHead()) == Head()
    assert bodies(engine, scope, "k") == {"k": {"v": 1}}
    assert set(bodies(engine, scope, "c", kind=COMMIT)) == {"c"}


def test_an_unknown_call_is_a_mistake_of_the_program(reference, scope):
    with pytest.raises(TypeError, match="does not know"):
        reference.call(scope, object())


@pytest.mark.parametrize("engine", ["reference", "edge"], indirect=True)
def test_what_is_written_is_counted_until_it_is_flushed(engine, scope):
    engine.flush()
    assert engine.dirty_bytes == 0
    put_texts(engine, scope, ["some text"])
    engine.call(scope, WriteRecords((record("k"),)))
    assert engine.dirty_bytes > 0
    engine.flush()
    assert engine.dirty_bytes == 0
