"""What the store sends to a server, over a stand-in for its HTTP interface: every request says where and how.

That a real server or cluster does as it is told was not run here.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import numpy as np
import pytest

from memory.audit_calls import FindUnlike, ScanRecords, ScanUnits
from memory.errors import DeadlineExceeded, Overloaded, StoreDamaged, Unavailable, Unprocessable
from memory.filters import TRUE, AnyOf
from memory.ids import Scope, shard_key_of
from memory.neighbours import Near
from memory.placing import STRIDE
from memory.plans import Plan
from memory.protocol import Execute, TakeEpoch
from memory.recall import FindCandidates
from memory.records import Embedding, Head, Record, RecordKind, Relinked, Vectors
from memory.store_calls import (
    Batch,
    ClearBank,
    CompleteHits,
    CountValues,
    CreateHead,
    FindLive,
    ForgetText,
    GetChunks,
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
from memory.upkeep_calls import AddVectors, DropVectors, FindUnembedded, GetEmbeddings, RelinkUnits, SweepRemoved
from storage.directory import Space
from storage.edge_writes import WRITES
from storage.server_client import ServerSettings
from storage.server_store import ServerStore
from tests.support.builders import DIM, dense, fresh_scope, new_unit, put_live
from tests.support.loops import in_loop
from tests.support.qdrant_wire import QdrantWire, Sent
from tests.support.server_engine import wait_for, wired_engine

OPERATION = RecordKind.OPERATION
SCOPE = Scope("tenant", "bank")
UNIT = new_unit(SCOPE, "red apple")
ID = UNIT.unit.id
READS = (
    ReadHead(),
    GetRecords(OPERATION, ("k",)),
    ListRecords(OPERATION, 5),
    ListRecords(OPERATION, 5, status="completed", until=7),
    GetUnits((ID,)),
    GetChunks((ID,)),
    ScanUnits(None, 5),
    ScanRecords(None, 5),
    FindUnlike({ID: "red apple"}),
    GetDense((ID,)),
    GetEmbeddings((ID,)),
    FindUnembedded("", 5),
    FindLive((ID,)),
    ListUnits(5),
    CountValues("tags", 5),
    SearchLanes((Lane(5, dense=dense("apple")), Lane(5, lexical="apple")), AnyOf("tags", ("x",))),
    CompleteHits({ID: 0.5}, {}, dense("apple"), "apple", (), (ID,)),
    CompleteHits({ID: 0.5}, {}, dense("apple"), "apple", (), (ID,), Near({"d": ((0, 9),)}, TRUE, 5)),
    CompleteHits({ID: 0.5}, {}, dense("apple"), "apple", (), (ID,), with_tokens=True),
)
WRITING = (
    InsertUnits((UNIT,)),
    CreateHead(Head()),
    SwapHead(Head(), Head(epoch=1), "n"),
    WriteRecords((Record(OPERATION, "k", {}),)),
    SetLive((ID,), 1, 1),
    MoveUnits({ID: 3}, 1),
    RetireUnits((ID,), 1, 1),
    RemoveRecords(OPERATION, ("k",), 2, 1, 7),
    ClearBank(2, 1, 7),
    SweepPending(1),
    SweepRemoved(9, 5),
    AddVectors({ID: Embedding(dense("apple"), b"\x12" * 64)}),
    DropVectors("", 5),
    RelinkUnits((Relinked(ID, (), None, None),), 1),
    ForgetText(Record(RecordKind.COMMIT, "c", {}, status="settled")),
    TrimCommits(1),
)


@pytest.fixture(scope="module")
def whole():
    """A server and the store that is open on it."""
    wire = QdrantWire()
    with wired_engine(wire) as engine:
        engine.open()
        yield wire, engine


@pytest.fixture
def wire(whole) -> Iterator[QdrantWire]:
    whole[0].sent.clear()
    yield whole[0]
    whole[0].fail = lambda _: None


@pytest.fixture
def engine(whole):
    return whole[1]


def keys_of(sent: Sent) -> set[str | None]:
    """Shard keys that a request names, one for each of its parts."""
    parts = sent.body.get("searches") or sent.body.get("operations") or [sent.body]
    return {part.get("set_payload", part).get("shard_key") for part in parts}


def too_busy() -> httpx.Response:
    return httpx.Response(429, headers={"Retry-After": "7"}, json={"status": {"error": "rate limit"}})


def name_of(call) -> str:
    return type(call).__name__


def test_every_call_of_the_port_is_here():
    assert {type(call) for call in WRITING} == set(WRITES)


@pytest.mark.parametrize("call", [*READS, *WRITING], ids=name_of)
def test_every_request_names_the_banks_shard_key(engine, wire, call):
    engine.call(SCOPE, call)
    assert wire.sent
    assert {key for sent in wire.sent for key in keys_of(sent)} == {shard_key_of(SCOPE.bucket)}


@pytest.mark.parametrize("call", [call for call in READS if not isinstance(call, SearchLanes)], ids=name_of)
def test_reads_ask_as_many_copies_as_the_settings_say(engine, wire, call):
    engine.call(SCOPE, call)
    for sent in wire.sent:
        assert sent.params.get("consistency") == (None if sent.path.endswith("/count") else "majority")


@pytest.mark.parametrize("call", WRITING, ids=name_of)
def test_writes_are_applied_in_one_order_before_they_are_acknowledged(engine, wire, call):
    if isinstance(call, SweepRemoved):  # it writes only where there is something to be swept
        engine.call(SCOPE, WriteRecords((Record(OPERATION, "old", {}),)))
        engine.call(SCOPE, RemoveRecords(OPERATION, ("old",), 2, 1, 7))
        wire.sent.clear()
    if isinstance(call, AddVectors | DropVectors):  # of units that are there
        engine.call(SCOPE, InsertUnits((UNIT,)))
        wire.sent.clear()
    engine.call(SCOPE, call)
    writes = [sent for sent in wire.sent if "ordering" in sent.params]
    assert writes
    assert {(sent.params["ordering"], sent.params["wait"]) for sent in writes} == {("strong", "true")}
    reading = [sent for sent in wire.sent if sent not in writes]
    look = {SwapHead: 1, SweepRemoved: 2, AddVectors: 1, DropVectors: 2}
    assert len(reading) == look.get(type(call), 0), "to see who won, what is to be swept, what is there"


def test_the_lanes_of_a_recall_and_its_completion_are_one_request_each(engine, wire):
    where = AnyOf("tags", ("x",))
    wait_for(engine.store.perform(SCOPE, FindCandidates(dense("apple"), "apple", 5, where)))
    (search,) = wire.sent
    assert (search.path.rsplit("/", 1)[1], len(search.body["searches"])) == ("batch", 3)
    wire.sent.clear()
    for completion in (call for call in READS if isinstance(call, CompleteHits)):
        engine.call(SCOPE, completion)
        assert len(wire.sent) == 1
        wire.sent.clear()


def test_a_recall_with_neighbours_is_two_requests(engine, wire):
    scope = fresh_scope()
    put_live(engine, scope, *(new_unit(scope, text, position=at * STRIDE) for at, text in enumerate(("red", "apple"))))
    wire.sent.clear()
    found = wait_for(engine.store.perform(scope, FindCandidates(dense("apple"), "apple", 1, TRUE, seeds=1, reach=1)))
    assert sorted(payload["text"] for payload in found.hits.payloads) == ["apple", "red"]
    assert [sent.path.rsplit("/", 1)[1] for sent in wire.sent] == ["batch", "batch"]
    assert {key for sent in wire.sent for key in keys_of(sent)} == {shard_key_of(scope.bucket)}


def test_every_query_names_exactly_one_bank_and_weighs_words_by_it(engine, wire):
    engine.call(SCOPE, next(call for call in READS if isinstance(call, SearchLanes)))
    semantic, keyword = wire.sent[0].body["searches"]
    bank = {"key": "bank_key", "match": {"value": SCOPE.key}}
    for query in (semantic, keyword):
        assert query["filter"]["must"].count(bank) == 1
    assert (semantic["using"], keyword["using"]) == ("dense", "lexical")
    live = {"key": "state", "match": {"value": "live"}}
    told = {"must_not": [{"key": "kind", "match": {"any": ["fact", "reflection"]}}]}
    assert keyword["params"] == {"idf": {"corpus": {"must": [bank, live, told]}}}
    assert "params" not in semantic


def test_words_that_nothing_can_share_are_not_asked_for(engine, wire):
    (lane,) = engine.call(SCOPE, SearchLanes((Lane(5, lexical="the of"),)))
    assert (lane.ids, wire.sent) == ((), [])
    lanes = engine.call(SCOPE, SearchLanes((Lane(5, lexical="?!"), Lane(5, dense=dense("apple")))))
    assert len(lanes) == 2
    assert len(wire.sent[0].body["searches"]) == 1


def test_only_what_is_not_about_one_bank_asks_every_shard(engine, wire):
    engine.list_heads(SCOPE.tenant, 5, 0)
    engine.list_due(datetime.now(UTC), 5)
    assert {key for sent in wire.sent for key in keys_of(sent)} == {None}
    wire.sent.clear()
    engine.find_unit(SCOPE.tenant, ID)
    assert {key for sent in wire.sent for key in keys_of(sent)} == {shard_key_of(SCOPE.bucket)}
    wire.sent.clear()
    assert engine.find_unit(SCOPE.tenant, "no-id") is None
    assert wire.sent == []


@pytest.mark.parametrize(
    "vector",
    [np.full(DIM, np.nan, np.float32), np.full(DIM, np.inf, np.float32), np.ones(DIM + 1, np.float32)],
    ids=["no number", "infinity", "too long"],
)
def test_a_vector_that_is_none_is_refused_before_anything_is_sent(engine, wire, vector):
    for call in (
        InsertUnits((UNIT, NewUnit(UNIT.unit, Vectors(vector, "x")))),
        SearchLanes((Lane(5, dense=vector),)),
        CompleteHits({}, {ID: 1.0}, vector, "apple", (ID,), ()),
    ):
        with pytest.raises(Unprocessable, match=f"{DIM} finite numbers"):
            engine.call(SCOPE, call)
    assert wire.sent == []


# -- what goes wrong

UNREACHABLE = (
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("slow"),
    httpx.Response(503, text="upstream"),
    httpx.Response(500, json={"status": {"error": "Service internal error"}}),
)


@pytest.mark.parametrize("failure", UNREACHABLE, ids=lambda f: type(f).__name__ + str(getattr(f, "status_code", "")))
def test_a_read_is_sent_again_while_the_server_is_unreachable_and_a_write_is_not(engine, wire, failure):
    failures = iter([failure, failure])
    wire.fail = lambda _: next(failures, None)
    assert engine.call(SCOPE, GetUnits((ID,))) == {}
    assert len(wire.sent) == 3
    wire.sent.clear()
    wire.fail = lambda _: failure
    with pytest.raises(Unavailable):
        engine.call(SCOPE, InsertUnits((UNIT,)))
    assert len(wire.sent) == 1


def test_what_is_no_failure_of_the_moment_is_not_sent_again(engine, wire):
    wire.fail = lambda _: httpx.Response(400, json={"status": {"error": "Format error in JSON body"}})
    with pytest.raises(StoreDamaged, match="Format error"):
        engine.call(SCOPE, GetUnits((ID,)))
    assert len(wire.sent) == 1


def test_an_overloaded_server_says_when_to_come_back(engine, wire):
    wire.fail = lambda _: too_busy()
    with pytest.raises(Overloaded, match="rate limit") as caught:
        engine.call(SCOPE, ReadHead())
    assert caught.value.retry_after_s == 7


def test_a_write_that_the_server_refuses_half_way_is_never_said_to_be_refused(engine, wire):
    """Overloaded promises that nothing was accepted; whichever call of a plan is refused, some of it may be."""

    def execute(accepted_calls: int) -> int:
        scope = fresh_scope()
        head = Head(seq=1, exists=True, updated_at=datetime(2026, 1, 1, tzinfo=UTC))
        plan = Plan("retain", "op", 1, head, add=(new_unit(scope, "one"),))
        owned = wait_for(engine.store.perform(scope, TakeEpoch("a")))
        wire.sent.clear()
        wire.fail = lambda _: too_busy() if len(wire.sent) > accepted_calls else None
        try:
            wait_for(engine.store.perform(scope, Execute(owned, plan, "n")))
        finally:
            wire.fail = lambda _: None
        return len(wire.sent)

    calls = execute(accepted_calls=1000)
    assert calls > 5
    for accepted in range(calls):
        with pytest.raises(Unavailable, match=r"not finished: .*rate limit") as caught:
            execute(accepted)
        assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("status", ["acknowledged", "wait_timeout"])
def test_a_write_that_is_only_promised_is_not_acknowledged(engine, wire, status):
    answer = {"result": {"operation_id": 1, "status": status}, "status": "ok", "time": 0.0}
    wire.fail = lambda _: httpx.Response(200, json=answer)
    with pytest.raises(Unavailable, match=status):
        engine.call(SCOPE, InsertUnits((UNIT,)))


@in_loop
async def test_a_request_that_takes_too_long_is_given_up():
    wire = QdrantWire()
    settings = ServerSettings("http://qdrant.invalid:6333", timeout_s=0.3)
    store = ServerStore(settings, Space("hash", DIM), transport=wire.transport)
    await store.open()
    wire.fail = lambda _: httpx.ConnectError("down")
    with pytest.raises((DeadlineExceeded, Unavailable)):
        await store.perform(SCOPE, Batch((ReadHead(),) * 50))
    with pytest.raises((DeadlineExceeded, Unavailable)):
        await store.ping(0.2)
    wire.fail = lambda _: None
    assert await store.perform(SCOPE, ReadHead()) is None
    await store.close()


def test_the_server_says_how_its_collections_are(engine):
    described = wait_for(engine.store.ping(5.0))
    assert [part["status"] for part in described] == ["green", "green"]


def test_two_owners_at_different_processes_are_told_apart_by_the_head(wire):
    scope = fresh_scope()
    with wired_engine(wire) as one, wired_engine(wire) as other:  # over the same server
        first = wait_for(one.store.perform(scope, TakeEpoch("a")))
        second = wait_for(other.store.perform(scope, TakeEpoch("b")))
        assert (first.epoch, second.epoch) == (1, 2)
        assert one.call(scope, SwapHead(first, first, "late")) is False
        assert one.call(scope, ReadHead()) == second
