"""One collection on a Qdrant server: every request carries where its bank lives and how consistent it has to be."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import httpx
from qdrant_client import AsyncQdrantClient, models

from memory.errors import Unavailable
from memory.ids import shard_key_of
from storage.query_to_client import point_ids

LOCAL: Final = ":memory:"
"""Address of the client's own brute-force engine in this process: for tests; no shard keys, no indexes, no cluster."""

ReadConsistency = int | Literal["majority", "quorum", "all"]


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the server is and how this deployment's collections are laid out on it."""

    url: str
    api_key: str = ""
    prefix: str = "lorebank"
    """First part of both collections' names: deployments with prefixes of their own share a server."""
    replication_factor: int = 1
    write_consistency_factor: int | None = None
    """Replicas that must confirm a write; None: a majority of them."""
    shards_per_key: int = 1
    read_consistency: ReadConsistency = "majority"
    timeout_s: float = 30.0

    @property
    def local(self) -> bool:
        """Whether the engine is the client's own."""
        return self.url == LOCAL

    @property
    def confirming_replicas(self) -> int:
        """Replicas that must confirm a write."""
        return self.write_consistency_factor or self.replication_factor // 2 + 1


def connect(settings: ServerSettings, **http: Any) -> AsyncQdrantClient:
    """Client of the server; nothing is sent yet. `http` goes to httpx, for tests that look at the requests."""
    if settings.local:
        return AsyncQdrantClient(location=LOCAL)
    return AsyncQdrantClient(
        url=settings.url,
        api_key=settings.api_key or None,
        timeout=math.ceil(settings.timeout_s),
        check_compatibility=False,  # the installation checks the version itself, and refuses instead of warning
        # The client's own default closes every connection to this machine after one request.
        limits=httpx.Limits(max_connections=256, max_keepalive_connections=64),
        **http,
    )


@dataclass(frozen=True, slots=True)
class Collection:
    """Requests to one collection. `bucket` is the bank's; None: every shard is asked.

    Writes are applied before they are acknowledged, in one order on all replicas.
    """

    client: AsyncQdrantClient
    name: str
    keyed: bool
    """Whether the collection has shard keys; without, the server distributes points itself and takes no key."""
    consistency: ReadConsistency

    async def describe(self) -> dict[str, Any]:
        """Name and state, as the server says."""
        info = await self.client.get_collection(self.name)
        return {"name": self.name, "status": info.status.value, "points": info.points_count}

    # -- reads

    async def retrieve(
        self, bucket: int, ids: Sequence[str], payload: bool | Sequence[str], vectors: bool | Sequence[str] = False
    ) -> list[models.Record]:
        """Points by id; absent ones are left out."""
        wanted: list[Any] = point_ids(ids)
        if not wanted:
            return []
        return await self.client.retrieve(
            self.name,
            wanted,
            with_payload=payload if isinstance(payload, bool) else list(payload),
            with_vectors=vectors if isinstance(vectors, bool) else list(vectors),
            **self._read(bucket),
        )

    async def scroll(
        self,
        bucket: int | None,
        where: models.Filter,
        limit: int,
        *,
        payload: bool | Sequence[str],
        offset: Any = None,
        order_by: models.OrderBy | None = None,
    ) -> tuple[list[models.Record], Any]:
        """One page of points and the offset of the next."""
        return await self.client.scroll(
            self.name,
            scroll_filter=where,
            limit=limit,
            offset=offset,
            order_by=order_by,
            with_payload=payload if isinstance(payload, bool) else list(payload),
            with_vectors=False,
            **self._read(bucket),
        )

    async def count(self, bucket: int | None, where: models.Filter) -> int:
        """How many points match, exactly."""
        # The request has no consistency of its own: each shard's answer comes from one replica.
        answer = await self.client.count(
            self.name, count_filter=where, exact=True, shard_key_selector=self.shard_key(bucket)
        )
        return answer.count

    async def facet(self, bucket: int | None, field: str, where: models.Filter, limit: int) -> dict[str, int]:
        """How many points that match hold each value of an indexed field, most first."""
        answer = await self.client.facet(
            self.name, key=field, facet_filter=where, limit=limit, exact=True, **self._read(bucket)
        )
        return {str(hit.value): hit.count for hit in answer.hits}

    async def query(self, requests: Sequence[models.QueryRequest]) -> list[list[models.ScoredPoint]]:
        """Answers of several queries in one round trip; each request names its shard key itself."""
        answers = await self.client.query_batch_points(self.name, requests, consistency=_consistency(self.consistency))
        return [answer.points for answer in answers]

    # -- writes

    async def upsert(
        self,
        bucket: int,
        points: Sequence[models.PointStruct],
        where: models.Filter | None = None,
        mode: models.UpdateMode | None = None,
    ) -> None:
        """Insert what is absent and change what meets the condition, or what the mode allows of that."""
        done = await self.client.upsert(
            self.name, list(points), update_filter=where, update_mode=mode, **self._write(bucket)
        )
        _applied(done)

    async def set_payload(self, bucket: int, where: models.Filter, payload: Mapping[str, Any]) -> None:
        """Change these payload keys of every point that matches."""
        _applied(await self.client.set_payload(self.name, dict(payload), where, **self._write(bucket)))

    async def set_payloads(self, bucket: int, changes: Sequence[tuple[models.Filter, Mapping[str, Any]]]) -> None:
        """Several such changes, in order, in one round trip; not atomic together."""
        key = self.shard_key(bucket)
        operations = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(payload=dict(payload), filter=where, shard_key=key)
            )
            for where, payload in changes
        ]
        for done in await self.client.batch_update_points(
            self.name, operations, wait=True, ordering=models.WriteOrdering.STRONG
        ):
            _applied(done)

    async def update_vectors(self, bucket: int, vectors: Sequence[models.PointVectors], where: models.Filter) -> None:
        """Set named vectors of those of these points that match; their others stay."""
        done = await self.client.update_vectors(self.name, list(vectors), update_filter=where, **self._write(bucket))
        _applied(done)

    async def vector_dims(self) -> dict[str, int]:
        """Length of the dense vectors of each name."""
        named = (await self.client.get_collection(self.name)).config.params.vectors
        return {name: params.size for name, params in named.items()} if isinstance(named, dict) else {}

    async def add_vector(self, name: str, dim: int) -> None:
        """Have points take dense vectors of that name, in all shards."""
        config = models.DenseVectorNameConfig(dense=models.DenseVectorConfig(size=dim, distance=models.Distance.COSINE))
        done = await self.client.create_vector_name(
            self.name, name, config, wait=True, ordering=models.WriteOrdering.STRONG
        )
        _applied(done)

    async def drop_vector(self, name: str) -> None:
        """Have points take no vectors of that name, in all shards; those that are there go."""
        _applied(await self.client.delete_vector_name(self.name, name, wait=True, ordering=models.WriteOrdering.STRONG))

    async def delete_vectors(self, bucket: int, where: models.Filter, name: str) -> None:
        """Take a named vector from every point that matches."""
        _applied(await self.client.delete_vectors(self.name, [name], where, **self._write(bucket)))

    async def delete_payload(self, bucket: int, where: models.Filter, keys: Sequence[str]) -> None:
        """Take these keys from the payload of every point that matches."""
        _applied(await self.client.delete_payload(self.name, list(keys), where, **self._write(bucket)))

    async def delete(self, bucket: int, where: models.Filter) -> None:
        """Remove every point that matches."""
        _applied(await self.client.delete(self.name, where, **self._write(bucket)))

    # -- how requests are sent

    def shard_key(self, bucket: int | None) -> str | None:
        """The shard key of a bank's bucket; None where the collection has none, or every shard is meant."""
        return shard_key_of(bucket) if self.keyed and bucket is not None else None

    def _read(self, bucket: int | None) -> dict[str, Any]:
        return {"shard_key_selector": self.shard_key(bucket), "consistency": _consistency(self.consistency)}

    def _write(self, bucket: int) -> dict[str, Any]:
        return {
            "shard_key_selector": self.shard_key(bucket),
            "ordering": models.WriteOrdering.STRONG,
            "wait": True,
        }


def _consistency(wanted: ReadConsistency) -> int | models.ReadConsistencyType:
    return wanted if isinstance(wanted, int) else models.ReadConsistencyType(wanted)


def _applied(done: models.UpdateResult) -> None:
    """A server that stops waiting says so with a success of another status: the next read may not see the write yet."""
    if done.status is not models.UpdateStatus.COMPLETED:
        raise Unavailable(f"the Qdrant server has not applied a write in time (status {done.status.value})")
