"""The storage shard without Ray: it gives up on damaged files, and closes what it opened."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from actors import flush_rule, storage_shard
from actors.settings import load_settings
from actors.storage_shard import StorageShard
from actors.wiring import open_shard, prepare_data
from memory.errors import LorebankError, StaleEpoch, StoreDamaged, Unavailable
from memory.plans import Plan
from memory.protocol import Execute, Recover, TakeEpoch
from memory.records import Embedding, Head
from memory.store_calls import ClearBank, InsertUnits, ListUnits, ReadHead
from memory.upkeep_calls import AddVectors
from storage.directory import CLEAN_FILE, Space, shard_path
from tests.support.builders import DIM, dense, fresh_scope, new_unit

SPACE = Space("hash", DIM)


@pytest.fixture
def settings(tmp_path):
    made = load_settings(data=tmp_path, embedder="hash", embedding_dim=DIM)
    prepare_data(made, SPACE)
    return made


def test_damaged_files_are_not_loaded_again_and_again(settings, monkeypatch):
    opened = []

    def counted(*args, **fields):
        opened.append(args)
        return open_shard(*args, **fields)

    monkeypatch.setattr(storage_shard, "open_shard", counted)
    segments = shard_path(settings.data, 0) / "units" / "segments" / "one"
    segments.mkdir(parents=True)
    (segments / "segment.json").write_text("{}")
    shard = StorageShard(settings, 0, SPACE)
    for _ in range(3):
        with pytest.raises(StoreDamaged, match=r"version\.info"):
            shard.ping()
    assert len(opened) == 1


def test_a_closed_shard_leaves_a_clean_directory_and_refuses(settings):
    shard = StorageShard(settings, 0, SPACE)
    scope = fresh_scope()
    assert shard.perform(scope, TakeEpoch("n")).epoch == 1
    assert not (shard_path(settings.data, 0) / CLEAN_FILE).exists()
    shard.close()
    assert (shard_path(settings.data, 0) / CLEAN_FILE).exists()
    for request in (ReadHead(), TakeEpoch("m")):
        with pytest.raises(Unavailable, match="closing"):
            shard.perform(scope, request)
    again = StorageShard(settings, 0, SPACE)
    assert again.perform(scope, ReadHead()).epoch == 1
    again.close()


def test_vectors_of_another_model_are_added_in_turn_with_other_writes(settings):
    shard = StorageShard(settings, 0, SPACE)
    scope = fresh_scope()
    shard.perform(scope, TakeEpoch("n"))
    adding = AddVectors({new_unit(scope, "gone").unit.id: Embedding(dense("gone"))})
    with pytest.raises(TypeError, match="only reads"):
        shard.read_directly(scope, adding)
    waiting = threading.Thread(target=shard.perform, args=(scope, adding))
    with shard._writing:
        waiting.start()
        until_s = time.monotonic() + DEADLINE_S
        while not shard._writing.contended:
            assert time.monotonic() < until_s, "it did not wait for its turn"
            time.sleep(0.001)
    waiting.join(DEADLINE_S)
    assert not waiting.is_alive()
    shard.close()


def test_a_shard_that_was_never_opened_can_be_closed(settings):
    StorageShard(settings, 0, SPACE).close()
    assert not shard_path(settings.data, 0).exists()


DEADLINE_S = 20.0
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def execute(scope, owned: Head, *texts: str) -> Execute:
    seq = owned.seq + 1
    after = Head(seq=seq, seq_end=owned.seq_end, exists=True, updated_at=NOW)
    units = tuple(new_unit(scope, text, seq=seq, epoch=owned.epoch, position=n) for n, text in enumerate(texts))
    return Execute(owned, Plan("retain", "op", seq, after, add=units), "n")


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    settings = load_settings(data=tmp_path_factory.mktemp("shared"), embedder="hash", embedding_dim=DIM)
    prepare_data(settings, SPACE)
    made = StorageShard(settings, 0, SPACE)
    yield made
    made.close()


def texts(shard, scope) -> set[str]:
    return {unit.text for unit in shard.perform(scope, ListUnits(1000)).units}


def test_writes_of_many_banks_in_one_call_have_answers_and_errors_of_their_own(shard):
    one, two, three = fresh_scope(), fresh_scope(), fresh_scope()
    owned = shard.perform_many([(scope, TakeEpoch("a")) for scope in (one, two, three)])
    shard.perform(two, TakeEpoch("b"))
    plans = [(scope, execute(scope, head, "text")) for scope, head in zip((one, two, three), owned, strict=True)]
    first, second, third = shard.perform_many(plans)
    assert isinstance(second, StaleEpoch)
    assert (first.settled, third.settled) == (1, 1)
    assert [texts(shard, scope) for scope in (one, two, three)] == [{"text"}, set(), {"text"}]


def test_a_group_is_synced_once_where_writes_must_survive_power_loss(shard, monkeypatch):
    monkeypatch.setattr(shard, "_settings", shard._settings.model_copy(update={"durability": "disk"}))
    syncs = []
    real = shard._engine.sync
    monkeypatch.setattr(shard._engine, "sync", lambda: syncs.append(1) or real())
    shard.perform_many([(fresh_scope(), TakeEpoch("a")) for _ in range(10)])
    assert len(syncs) == 1
    assert not shard._engine.unsynced


class Halfway:
    """Stops a large plan after some of its calls until others were served."""

    def __init__(self, shard: StorageShard, scope, monkeypatch) -> None:
        monkeypatch.setattr(storage_shard, "SLICE_S", 0.0)
        self.reached, self.go_on = threading.Event(), threading.Event()
        real = shard._engine.call
        self.inserts = 0

        def call(where, one):
            if where == scope and isinstance(one, InsertUnits):
                self.inserts += 1
                if self.inserts == 2:
                    self.reached.set()
                    assert self.go_on.wait(DEADLINE_S)
            return real(where, one)

        monkeypatch.setattr(shard._engine, "call", call)


def started(work, ends: list | None = None) -> tuple[threading.Thread, list]:
    """A thread, and what it ended with; or where to put that."""
    outcome: list = [] if ends is None else ends

    def run() -> None:
        try:
            outcome.append(work())
        except LorebankError as exc:
            outcome.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, outcome


def wait_contended(shard: StorageShard) -> None:
    pause = threading.Event()
    for _ in range(int(DEADLINE_S / 0.001)):
        if shard._writing.contended:
            return
        pause.wait(0.001)
    raise AssertionError("nobody waits")


def test_a_large_plan_lets_other_banks_pass_between_its_calls(shard, monkeypatch):
    large, small = fresh_scope(), fresh_scope()
    owned, mine = shard.perform(large, TakeEpoch("a")), shard.perform(small, TakeEpoch("a"))
    halfway = Halfway(shard, large, monkeypatch)
    ends: list = []
    plan = execute(large, owned, *(f"t{n}" for n in range(300)))
    long, _ = started(lambda: (shard.perform(large, plan).settled, "large"), ends)
    assert halfway.reached.wait(DEADLINE_S)
    short, _ = started(lambda: (shard.perform(small, execute(small, mine, "one")).settled, "small"), ends)
    wait_contended(shard)
    halfway.go_on.set()
    short.join(DEADLINE_S)
    long.join(DEADLINE_S)
    assert ends == [(1, "small"), (1, "large")]
    assert len(texts(shard, large)) == 300


def test_a_flush_comes_between_the_calls_of_a_large_plan_and_the_rest_is_counted(settings, monkeypatch):
    """A process killed in the rest must not be taken for one that lost what the flush has counted."""
    shard, scope = StorageShard(settings.model_copy(update={"flush_interval_s": 3600.0}), 0, SPACE), fresh_scope()
    owned = shard.perform(scope, TakeEpoch("a"))
    halfway = Halfway(shard, scope, monkeypatch)
    events: list[str] = []
    engine = shard._engine
    call, count = engine.call, engine.count_operation

    def noted(where, one):
        answer = call(where, one)
        events.append("call")
        return answer

    monkeypatch.setattr(engine, "call", noted)
    monkeypatch.setattr(engine, "count_operation", lambda: events.append("count") or count())
    long, outcome = started(lambda: shard.perform(scope, execute(scope, owned, *(f"t{n}" for n in range(300)))))
    assert halfway.reached.wait(DEADLINE_S)

    def flush() -> None:
        with shard._writing:
            shard._flush(engine)
            events.append("flushed")

    flushing, _ = started(flush)
    wait_contended(shard)
    halfway.go_on.set()
    flushing.join(DEADLINE_S)
    long.join(DEADLINE_S)
    assert outcome[0].settled == 1
    rest = events[events.index("flushed") + 1 :]
    calls = [number for number, event in enumerate(rest) if event == "call"]
    assert len(calls) > 3
    assert all(rest[number + 1] == "count" for number in calls)
    assert engine._marks._marks.units.points == engine._units.info().points_count
    shard.close()


def test_a_plan_that_writes_faster_than_is_flushed_flushes_itself_and_counts_the_rest(settings, monkeypatch):
    rare = {"flush_interval_s": 3600.0, "flush_bytes": 40_000}
    shard, scope = StorageShard(settings.model_copy(update=rare), 0, SPACE), fresh_scope()
    owned = shard.perform(scope, TakeEpoch("a"))
    engine = shard._engine
    call, flush, most, flushing = engine.call, engine.flush, [0], []

    def noted(where, one):
        shard._read_at_s = time.monotonic()  # somebody reads all the time
        answer = call(where, one)
        most[0] = max(most[0], engine.dirty_bytes)
        return answer

    monkeypatch.setattr(engine, "call", noted)
    monkeypatch.setattr(engine, "flush", lambda: (flushing.append(threading.current_thread().name), flush()))
    assert shard.perform(scope, execute(scope, owned, *(f"t{n}" for n in range(600)))).settled == 1
    assert threading.current_thread().name in flushing
    slice_bytes = 128 << 10
    assert most[0] <= flush_rule.FULL * 40_000 + slice_bytes
    assert engine._marks._marks.units.points == engine._units.info().points_count
    shard.close()


def test_an_owner_that_lost_its_bank_in_the_middle_of_a_plan_writes_no_further_call(shard, monkeypatch):
    scope = fresh_scope()
    owned = shard.perform(scope, TakeEpoch("a"))
    halfway = Halfway(shard, scope, monkeypatch)
    long, outcome = started(lambda: shard.perform(scope, execute(scope, owned, *(f"t{n}" for n in range(300)))))
    assert halfway.reached.wait(DEADLINE_S)
    taker, taken = started(lambda: shard.perform(scope, TakeEpoch("b")))
    wait_contended(shard)
    halfway.go_on.set()
    taker.join(DEADLINE_S)
    long.join(DEADLINE_S)
    assert isinstance(outcome[0], StaleEpoch)
    assert halfway.inserts < 5
    assert shard.perform(scope, Recover(taken[0], "r", NOW)).head.commit == 0
    assert texts(shard, scope) == set()


def test_a_shard_that_closes_in_the_middle_of_a_plan_refuses_the_rest(settings, monkeypatch):
    shard = StorageShard(settings, 0, SPACE)
    scope = fresh_scope()
    owned = shard.perform(scope, TakeEpoch("a"))
    halfway = Halfway(shard, scope, monkeypatch)
    plan = execute(scope, owned, *(f"t{n}" for n in range(300)))
    long, outcome = started(lambda: shard.perform_many([(scope, plan)]))
    assert halfway.reached.wait(DEADLINE_S)
    closing, _ = started(shard.close)
    wait_contended(shard)
    halfway.go_on.set()
    closing.join(DEADLINE_S)
    long.join(DEADLINE_S)
    assert isinstance(outcome[0], Unavailable)
    again = StorageShard(settings, 0, SPACE)
    assert texts(again, scope) == set()
    assert again.perform(scope, ReadHead()).commit == 0
    again.close()


def reached(condition: Callable[[], bool]) -> bool:
    """Whether it holds before the deadline."""
    pause, until_s = threading.Event(), time.monotonic() + DEADLINE_S
    while not condition() and time.monotonic() < until_s:
        pause.wait(0.005)
    return condition()


def test_what_is_written_is_synced_soon_and_flushed_when_nobody_reads(settings):
    often = {"flush_interval_s": 0.02, "engine_flush_interval_s": 3600.0}
    shard = StorageShard(settings.model_copy(update=often), 0, SPACE)
    shard.perform(fresh_scope(), TakeEpoch("a"))
    engine = shard._engine
    assert reached(lambda: not engine.unsynced)
    assert engine.dirty_bytes  # the engine's own flush has not come
    shard.close()
    shard = StorageShard(settings.model_copy(update={"engine_flush_interval_s": 0.01}), 0, SPACE)
    shard.perform(fresh_scope(), TakeEpoch("a"))
    assert reached(lambda: not shard._engine.dirty_bytes)
    shard.close()


def test_no_flush_comes_while_somebody_reads_and_little_is_written(settings, monkeypatch):
    often = {"flush_interval_s": 0.02, "engine_flush_interval_s": 0.05}
    shard = StorageShard(settings.model_copy(update=often), 0, SPACE)
    monkeypatch.setattr(flush_rule, "LATEST", 10**9)
    monkeypatch.setattr(flush_rule, "QUIET_S", DEADLINE_S)
    scope = fresh_scope()
    shard.perform(scope, TakeEpoch("a"))
    looked = threading.Event()
    due = shard._is_flush_due
    looks = []

    def is_due(*args) -> bool:
        looks.append(due(*args))
        if len(looks) > 5:
            looked.set()
        return looks[-1]

    monkeypatch.setattr(shard, "_is_flush_due", is_due)
    shard.perform(scope, ReadHead())
    assert looked.wait(DEADLINE_S)
    assert not any(looks)
    assert shard._engine.dirty_bytes
    shard._read_at_s -= DEADLINE_S
    assert reached(lambda: not shard._engine.dirty_bytes)
    shard.close()


def test_others_write_while_a_big_bank_is_deleted(shard, monkeypatch):
    monkeypatch.setattr(storage_shard, "SLICE_S", 0.0)
    big, small = fresh_scope(), fresh_scope()
    owned = shard.perform(big, execute(big, shard.perform(big, TakeEpoch("a")), *(f"t{n}" for n in range(300))))
    other = shard.perform(small, TakeEpoch("a"))
    halfway, go_on = threading.Event(), threading.Event()
    call = shard._engine.call
    events = []

    def watched(scope, one):
        events.append("small" if scope == small else type(one).__name__)
        if isinstance(one, ClearBank) and one.start is not None and not halfway.is_set():
            halfway.set()
            assert go_on.wait(DEADLINE_S)
        return call(scope, one)

    monkeypatch.setattr(shard._engine, "call", watched)
    after = Head(seq=owned.seq + 1, seq_end=owned.seq_end, updated_at=NOW)
    plan = Plan("delete_bank", "op2", owned.seq + 1, after, clear=True)
    clearing, cleared = started(lambda: shard.perform(big, Execute(owned, plan, "m")))
    assert halfway.wait(DEADLINE_S)
    writing, written = started(lambda: shard.perform(small, execute(small, other, "small")))
    wait_contended(shard)
    go_on.set()
    writing.join(DEADLINE_S)
    clearing.join(DEADLINE_S)
    assert written[0].settled == 1
    assert cleared[0].settled == 2
    begun = events.index("small")
    assert "ClearBank" in events[:begun]
    assert "ClearBank" in events[begun:]
    assert shard.perform(big, ListUnits(1)).total == 0


def test_a_shard_that_closes_waits_for_the_sync_under_way(settings, monkeypatch):
    shard = StorageShard(settings.model_copy(update={"flush_interval_s": 0.01}), 0, SPACE)
    syncing, go_on, order = threading.Event(), threading.Event(), []
    shard.open()
    sync, close = shard._engine.sync, shard._engine.close

    def slow() -> None:
        syncing.set()
        assert go_on.wait(DEADLINE_S)
        sync()
        order.append("synced")

    monkeypatch.setattr(shard._engine, "sync", slow)
    monkeypatch.setattr(shard._engine, "close", lambda: order.append("closed") or close())
    shard.perform(fresh_scope(), TakeEpoch("a"))
    assert syncing.wait(DEADLINE_S)
    closing, _ = started(shard.close)
    assert reached(shard._closed.is_set)
    go_on.set()
    closing.join(DEADLINE_S)
    assert order[-1] == "closed"
    assert "synced" in order
