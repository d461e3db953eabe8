"""Installation on a server: what is made, that it may be repeated, interrupted and doubled, and what is refused.

Over a stand-in for the server's HTTP interface; on a real server or cluster this was not run here.
"""

import asyncio

import httpx
import orjson
import pytest

from memory.errors import BadSettings, SchemaMismatch, StoreDamaged, Unavailable
from memory.ids import SHARD_KEYS, SYSTEM, record_id
from memory.spaces import Model, Spaces, next_spaces
from memory.store_calls import WriteRecords
from storage import schema
from storage.directory import Space
from storage.server_client import ServerSettings
from storage.server_schema import IDENTITY_KEY, names
from storage.server_store import ServerStore
from tests.support.builders import DIM, fresh_scope, put_texts
from tests.support.loops import in_loop
from tests.support.qdrant_wire import QdrantWire
from tests.support.server_engine import SPACE, local_engine, wired_engine

SETTINGS = ServerSettings("http://qdrant.invalid:6333", prefix="p", timeout_s=5.0)
RECORDS, UNITS = names(SETTINGS, SPACE)
KEYS = [f"bucket-{number:02d}" for number in range(64)]


def store(wire: QdrantWire, settings: ServerSettings = SETTINGS, space: Space = SPACE) -> ServerStore:
    return ServerStore(settings, space, transport=wire.transport)


async def installed(wire: QdrantWire, settings: ServerSettings = SETTINGS, space: Space = SPACE) -> None:
    made = store(wire, settings, space)
    await made.open()
    await made.close()


def made_of(wire: QdrantWire) -> dict:
    """All that an installation leaves, but the identity's own id."""
    return {
        name: (stored.config, stored.indexes, sorted(stored.shards))
        for name, stored in sorted(wire.collections.items())
    }


def changes(wire: QdrantWire) -> list[str]:
    return [sent.path for sent in wire.sent if sent.method == "PUT"]


@in_loop
async def test_a_cluster_gets_both_collections_with_shard_keys_replicas_and_indexes():
    wire = QdrantWire()
    await installed(
        wire, ServerSettings(SETTINGS.url, prefix="p", replication_factor=3, shards_per_key=2, timeout_s=5.0)
    )
    assert set(wire.collections) == {RECORDS, UNITS}
    for stored in wire.collections.values():
        assert stored.config["sharding_method"] == "custom"
        assert (stored.config["replication_factor"], stored.config["write_consistency_factor"]) == (3, 2)
        assert sorted(stored.shards) == KEYS
    keys = [sent.body for sent in wire.sent if sent.method == "PUT" and sent.path == f"/collections/{UNITS}/shards"]
    assert keys == [{"shard_key": key, "shards_number": 2, "replication_factor": 3} for key in KEYS]
    assert len(KEYS) == SHARD_KEYS
    units = wire.collections[UNITS]
    assert units.config["vectors"] == {"dense": {"size": DIM, "distance": "Cosine"}}
    assert units.config["sparse_vectors"] == {"lexical": {"modifier": "idf"}}
    graph = units.config["hnsw_config"]
    assert (graph["m"], graph["payload_m"]) == (0, schema.HNSW_PAYLOAD_M)
    assert graph["full_scan_threshold"] == schema.FULL_SCAN_UNITS * DIM * 4 // 1024


@in_loop
async def test_every_index_of_the_schema_is_made_and_only_the_banks_takes_part_in_graphs():
    wire = QdrantWire()
    await installed(wire)
    for name, indexes in ((UNITS, schema.UNIT_INDEXES), (RECORDS, schema.RECORD_INDEXES)):
        made = wire.collections[name].indexes
        assert set(made) == set(indexes)
        for field, kind in indexes.items():
            if kind == "tenant":
                assert made[field] == {"type": "keyword", "is_tenant": True}
            else:
                assert (made[field]["type"], made[field]["enable_hnsw"]) == (kind, False)


@in_loop
async def test_a_second_installation_changes_nothing():
    wire = QdrantWire()
    await installed(wire)
    before = made_of(wire)
    wire.sent.clear()
    await installed(wire)
    assert changes(wire) == []
    assert made_of(wire) == before


@in_loop
async def test_an_installation_that_was_interrupted_anywhere_goes_on_where_it_stopped():
    whole = QdrantWire()
    await installed(whole)
    total = len(changes(whole))
    at_once = ServerSettings(SETTINGS.url, prefix="p", timeout_s=0.001)  # nothing is tried again
    for survived in range(0, total, 29):
        wire, cuts = QdrantWire(), []

        def cut(sent, wire=wire, cuts=cuts, survived=survived):
            if sent.method == "PUT" and len(changes(wire)) - len(cuts) > survived:
                cuts.append(sent)
                return httpx.ConnectError("cut")
            return None

        wire.fail = cut
        with pytest.raises(Unavailable):
            await installed(wire, at_once)
        wire.fail = lambda _: None
        assert len(changes(wire)) - len(cuts) == survived
        await installed(wire)
        assert made_of(wire) == made_of(whole)
        assert len(changes(wire)) - len(cuts) == total, "what was made is not made again"


@in_loop
async def test_a_server_that_is_still_starting_is_waited_for():
    wire = QdrantWire()
    failures = iter([httpx.ConnectError("refused"), httpx.Response(503, text="starting")])
    wire.fail = lambda _: next(failures, None)
    await installed(wire)
    assert set(wire.collections) == {RECORDS, UNITS}


@in_loop
async def test_two_processes_may_install_at_once():
    wire, alone = QdrantWire(), QdrantWire()
    await installed(alone)
    first, second = store(wire), store(wire)
    await asyncio.gather(first.open(), second.open())
    assert made_of(wire) == made_of(alone)
    assert len(changes(wire)) > len(changes(alone)), "they did not meet"
    await asyncio.gather(first.close(), second.close())


@in_loop
async def test_a_server_that_is_no_cluster_gets_no_shard_keys_and_requests_name_none():
    wire = QdrantWire(cluster=False)
    await installed(wire)
    assert {stored.keyed for stored in wire.collections.values()} == {False}
    assert not [path for path in changes(wire) if path.endswith("/shards")]
    assert "shard_key" not in orjson.dumps([sent.body for sent in wire.sent]).decode()


def test_a_server_without_shard_keys_keeps_banks():
    with wired_engine(QdrantWire(cluster=False)) as engine:
        scope, other = fresh_scope(), fresh_scope()
        (unit,) = put_texts(engine, scope, ["red apple"])
        assert engine.find_unit(scope.tenant, unit)[0] == scope
        assert engine.find_unit(other.tenant, unit) is None


@in_loop
async def test_another_embedder_is_refused_before_anything_is_made():
    wire = QdrantWire()
    await installed(wire)
    before = made_of(wire)
    for space in (Space("another", DIM), Space("hash", DIM + 1)):
        with pytest.raises(BadSettings, match=r"hash \(32 dimensions\).*LOREBANK_QDRANT_PREFIX"):
            await installed(wire, space=space)
    assert made_of(wire) == before


@in_loop
async def test_a_model_that_is_written_beside_may_be_named_and_finds_the_same_collections():
    wire = QdrantWire()
    await installed(wire)
    before = made_of(wire)
    models = (Model("", "hash", DIM, {}), Model("k", "another", DIM + 1, {}))
    first = store(wire)
    await first.perform(SYSTEM, WriteRecords((next_spaces(Spaces(), Spaces(models=models), 7),)))
    await first.close()
    await installed(wire, space=Space("another", DIM + 1))
    assert made_of(wire) == before
    with pytest.raises(BadSettings):
        await installed(wire, space=Space("a third", DIM))


def test_units_of_two_vector_spaces_have_collections_of_their_own():
    spaces = [Space("a", 3), Space("b", 3), Space("a", 4), Space("4:a", 3)]
    assert len({names(SETTINGS, space)[1] for space in spaces}) == len(spaces)
    assert len({names(SETTINGS, space)[0] for space in spaces}) == 1


async def change_identity(wire: QdrantWire, body: str) -> None:
    point = record_id(SYSTEM, "identity", IDENTITY_KEY)
    for shard in wire.collections[RECORDS].shards.values():
        if shard is not None and await shard.retrieve(RECORDS, [point]):
            await shard.set_payload(RECORDS, {"body": body}, [point])


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"schema_version": 99, "embedder": "hash", "dim": 32}', SchemaMismatch),
        ('{"schema_version": 1}', StoreDamaged),
        ("not JSON", StoreDamaged),
    ],
)
def test_an_identity_of_another_kind_is_refused(body, error):
    @in_loop
    async def refused():
        wire = QdrantWire()
        await installed(wire)
        await change_identity(wire, body)
        with pytest.raises(error):
            await installed(wire)

    refused()


@pytest.mark.parametrize(
    ("version", "taken"),
    [("1.19.0", False), ("1.18.9", False), ("0.11.7", False), ("", False), ("1.19.1", True), ("2.0.0-dev", True)],
)
def test_a_server_that_is_too_old_is_refused(version, taken):
    @in_loop
    async def opened():
        wire = QdrantWire(version=version)
        if taken:
            await installed(wire)
        else:
            with pytest.raises(BadSettings, match=r"needs 1\.19\.1"):
                await installed(wire)
            assert wire.collections == {}

    opened()


@in_loop
async def test_a_wrong_key_names_its_setting():
    wire = QdrantWire(api_key="right")
    with pytest.raises(BadSettings, match="LOREBANK_QDRANT_API_KEY"):
        await installed(wire)
    await installed(wire, ServerSettings("https://qdrant.invalid", "right", prefix="p", timeout_s=5.0))


def test_the_clients_own_engine_is_chosen_by_its_address_alone():
    with local_engine() as engine:
        engine.open()
        assert engine.store._settings.local
    assert not SETTINGS.local
