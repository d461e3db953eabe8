"""Lay out a deployment's collections on a Qdrant server, or check that they are laid out as this program needs them.

Every step makes sure of one thing and may be repeated: an installation that was interrupted goes on where it stopped,
and two processes that install at once do each other no harm.
"""

import hashlib
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from memory.errors import BadSettings, SchemaMismatch, StoreDamaged
from memory.ids import BUCKETS, SHARD_KEYS, SYSTEM, record_id, shard_key_of
from memory.records import Record, RecordKind
from memory.spaces import SPACES_KEY, spaces_of
from storage import codec, schema
from storage.directory import Space
from storage.schema import IndexKind
from storage.server_client import Collection, ServerSettings

MIN_VERSION: Final = (1, 19, 1)
"""First server that has IDF per bank (1.19) and matches words of unindexed text as the other engines do (1.19.1)."""
IDENTITY_KEY: Final = "identity"

IndexParams = models.KeywordIndexParams | models.IntegerIndexParams | models.DatetimeIndexParams


async def install(
    client: AsyncQdrantClient, settings: ServerSettings, space: Space
) -> tuple[Collection, Collection, int]:
    """The collections of units and of records, made where they are missing.

    Raises:
        BadSettings: they were made with another embedder, or the server is too old.
        SchemaMismatch: they are of a newer schema version.
        StoreDamaged: what says so cannot be read.
    """
    cluster = False if settings.local else await _check_server(client)
    records_name, _ = names(settings, space)
    nothing: dict[str, models.VectorParams] = {}
    records = await _collection(
        client,
        settings,
        records_name,
        schema.RECORD_INDEXES,
        cluster=cluster,
        vectors_config=nothing,
        sparse_vectors_config={schema.UNUSED: models.SparseVectorParams()},
    )
    space = await _check_identity(records, settings, space)
    _, units_name = names(settings, space)
    units = await _collection(
        client,
        settings,
        units_name,
        schema.UNIT_INDEXES,
        cluster=cluster,
        vectors_config={schema.DENSE: models.VectorParams(size=space.dim, distance=models.Distance.COSINE)},
        sparse_vectors_config={schema.LEXICAL: models.SparseVectorParams(modifier=models.Modifier.IDF)},
        hnsw_config=models.HnswConfigDiff(
            m=0,
            ef_construct=100,
            full_scan_threshold=schema.FULL_SCAN_UNITS * space.dim * 4 // 1024,
            payload_m=schema.HNSW_PAYLOAD_M,
        ),
    )
    return units, records, space.dim


def names(settings: ServerSettings, space: Space) -> tuple[str, str]:
    """Names of the collections of records and of units; the latter tells vector spaces apart."""
    of_space = hashlib.sha256(f"{space.dim}:{space.embedder}".encode()).hexdigest()[:12]
    return f"{settings.prefix}-{schema.RECORDS}", f"{settings.prefix}-{schema.UNITS}-{of_space}"


async def _check_server(client: AsyncQdrantClient) -> bool:
    """Whether the server is a cluster.

    Raises:
        BadSettings: the server is older than this program needs.
    """
    version = (await client.info()).version
    if _numbers(version) < MIN_VERSION:
        wanted = ".".join(map(str, MIN_VERSION))
        raise BadSettings(f"the server at LOREBANK_QDRANT_URL is Qdrant {version}; lorebank needs {wanted} or newer")
    return (await client.cluster_status()).status == "enabled"


def _numbers(version: str) -> tuple[int, ...]:
    release = re.match(r"[\d.]*", version)
    return tuple(int(part) for part in (release.group() if release else "").split(".") if part)


async def _collection(
    client: AsyncQdrantClient,
    settings: ServerSettings,
    name: str,
    indexes: Mapping[str, IndexKind],
    *,
    cluster: bool,
    **config: Any,
) -> Collection:
    """The collection with its shard keys and indexes. Only a cluster takes shard keys; how it began, it stays."""
    if settings.local:
        if not await client.collection_exists(name):
            await client.create_collection(name, **config)
        return Collection(client, name, keyed=False, consistency=settings.read_consistency)
    if not await client.collection_exists(name):
        sharding: dict[str, Any] = {}
        if cluster:
            sharding = {"sharding_method": models.ShardingMethod.CUSTOM, "shard_number": settings.shards_per_key}
        await _unless_made_meanwhile(
            lambda: client.create_collection(
                name,
                replication_factor=settings.replication_factor,
                write_consistency_factor=settings.confirming_replicas,
                **sharding,
                **config,
            ),
            lambda: client.collection_exists(name),
        )
    info = await client.get_collection(name)
    keyed = info.config.params.sharding_method is models.ShardingMethod.CUSTOM
    if keyed:
        await _ensure_shard_keys(client, settings, name)
    for field, kind in indexes.items():
        if field not in info.payload_schema:  # making one again with the same parameters changes nothing
            await client.create_payload_index(name, field, _index(kind), wait=True)
    return Collection(client, name, keyed=keyed, consistency=settings.read_consistency)


async def _ensure_shard_keys(client: AsyncQdrantClient, settings: ServerSettings, name: str) -> None:
    async def present() -> set[str]:
        return {str(found.key) for found in (await client.list_shard_keys(name)).shard_keys or ()}

    async def has(key: str) -> bool:
        return key in await present()

    wanted = [shard_key_of(number * BUCKETS // SHARD_KEYS) for number in range(SHARD_KEYS)]
    there = await present()
    for key in wanted:
        if key not in there:
            await _unless_made_meanwhile(
                lambda key=key: client.create_shard_key(  # type: ignore[misc]  # a lambda's default has no type
                    name, key, shards_number=settings.shards_per_key, replication_factor=settings.replication_factor
                ),
                lambda key=key: has(key),  # type: ignore[misc]  # a lambda's default has no type
            )


async def _unless_made_meanwhile(make: Callable[[], Awaitable[Any]], made: Callable[[], Awaitable[bool]]) -> None:
    """A refusal counts only if what was to be made is still not there: another process may have been faster."""
    try:
        await make()
    except UnexpectedResponse:
        if not await made():
            raise


def _index(kind: IndexKind) -> IndexParams:
    """Only the bank's index takes part in graphs."""
    if kind == "tenant":
        return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
    if kind == "keyword":
        return models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, enable_hnsw=False)
    if kind == "integer":
        integer = models.IntegerIndexType.INTEGER
        return models.IntegerIndexParams(type=integer, lookup=True, range=True, enable_hnsw=False)
    return models.DatetimeIndexParams(type=models.DatetimeIndexType.DATETIME, enable_hnsw=False)


async def _check_identity(records: Collection, settings: ServerSettings, space: Space) -> Space:
    """What the collections were made for is written once, by whoever comes first, and compared by everyone."""
    point = record_id(SYSTEM, RecordKind.IDENTITY.value, IDENTITY_KEY)
    found = await records.retrieve(SYSTEM.bucket, [point], payload=True)
    if not found:
        body = {
            "id": str(uuid.uuid4()),
            "schema_version": schema.SCHEMA_VERSION,
            "embedder": space.embedder,
            "dim": space.dim,
        }
        payload = codec.record_payload(SYSTEM, Record(RecordKind.IDENTITY, IDENTITY_KEY, body))
        made = models.PointStruct(id=point, vector={}, payload=payload)
        await records.upsert(SYSTEM.bucket, [made], mode=models.UpdateMode.INSERT_ONLY)
        found = await records.retrieve(SYSTEM.bucket, [point], payload=True)
    try:
        stored = codec.record_of(found[0].payload or {}).body
        version, embedder, dim = int(stored["schema_version"]), str(stored["embedder"]), int(stored["dim"])
    except (IndexError, KeyError, ValueError, TypeError) as exc:
        raise StoreDamaged(f"the identity in {records.name} cannot be read ({exc}); restore a snapshot") from exc
    if version > schema.SCHEMA_VERSION:
        raise SchemaMismatch(
            f"{records.name} has schema version {version}; this program knows up to {schema.SCHEMA_VERSION}:"
            " upgrade lorebank"
        )
    first = Space(embedder, dim)
    if space != first and space not in await _written_beside(records):
        raise BadSettings(
            f"{records.name} was made with the embedder {embedder} ({dim} dimensions), the settings say"
            f" {space.embedder} ({space.dim}): start with the embedder it was made with, or use another"
            f" LOREBANK_QDRANT_PREFIX than {settings.prefix}"
        )
    return first


async def _written_beside(records: Collection) -> list[Space]:
    """Other embedders that settings may name: their vectors are written beside."""
    point = record_id(SYSTEM, RecordKind.SPACES.value, SPACES_KEY)
    found = await records.retrieve(SYSTEM.bucket, [point], payload=True)
    return [Space(m.embedder, m.dim) for r in found for m in spaces_of(codec.record_of(r.payload or {})).models]
