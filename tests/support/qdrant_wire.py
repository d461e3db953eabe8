"""A stand-in for a Qdrant server, at the level of its HTTP interface: it takes the requests that a client sends.

Bodies are parsed strictly by the client's own models. Points of each shard key are kept by an engine of their own (the
client's), so that a request with a wrong key, or none, finds nothing or is refused, as at a server. What it cannot show
is a server's storage, replication and timing.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from qdrant_client import AsyncQdrantClient, models

PLAIN = ""
"""Stands for the shard key of collections without any."""


@dataclass(frozen=True)
class Sent:
    """One request as it came."""

    method: str
    path: str
    params: dict[str, str]
    body: Any


@dataclass
class Stored:
    """One collection: how it was made, its payload indexes, its points by shard key."""

    config: dict[str, Any]
    indexes: dict[str, Any] = field(default_factory=dict)
    shards: dict[str, AsyncQdrantClient | None] = field(default_factory=dict)
    """The engine of each shard key; None: nothing was asked of it yet."""

    @property
    def keyed(self) -> bool:
        return self.config.get("sharding_method") == "custom"


class Refused(Exception):
    """The server's answer to a request that cannot be served."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(status, error)
        self.status, self.error = status, error


class QdrantWire:
    """The server; `transport` is what a client is given instead of a network."""

    def __init__(self, *, cluster: bool = True, version: str = "1.20.0", api_key: str = "") -> None:
        self.cluster, self.version, self.api_key = cluster, version, api_key
        self.sent: list[Sent] = []
        self.collections: dict[str, Stored] = {}
        self.fail: Callable[[Sent], httpx.Response | Exception | None] = lambda _: None
        """What goes wrong with a request: an answer in place of the real one, or an error of the connection."""

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._handle)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content) if request.content else None
        sent = Sent(request.method, request.url.path, dict(request.url.params), body)
        self.sent.append(sent)
        await asyncio.sleep(0)  # as over a network, others get their turn meanwhile
        wrong = self.fail(sent)
        if isinstance(wrong, Exception):
            raise wrong
        if wrong is not None:
            return wrong
        try:
            self._check_key(request)
            answer = await self._answer(sent)
        except Refused as exc:
            return httpx.Response(exc.status, json={"status": {"error": exc.error}, "time": 0.0, "result": None})
        return httpx.Response(200, content=orjson.dumps(answer))

    def _check_key(self, request: httpx.Request) -> None:
        if self.api_key and request.headers.get("api-key") != self.api_key:
            raise Refused(401, "Must provide an API key or an Authorization bearer token")

    async def _answer(self, sent: Sent) -> Any:
        match sent.path.strip("/").split("/"):
            case [""]:
                return {"title": "qdrant - vector search engine", "version": self.version}
            case ["cluster"]:
                return _result(_CLUSTER if self.cluster else {"status": "disabled"})
            case ["collections", name, "exists"]:
                return _result({"exists": name in self.collections})
            case ["collections", name]:
                return _result(await self._collection(sent, name))
            case ["collections", name, *rest]:
                if name not in self.collections:
                    raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
                return _result(await self._of_collection(sent, self.collections[name], name, "/".join(rest)))
            case _:
                raise Refused(404, "")

    async def _collection(self, sent: Sent, name: str) -> Any:
        if sent.method == "PUT":
            models.CreateCollection(**sent.body)
            if name in self.collections:
                raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
            made = self.collections[name] = Stored(sent.body)
            if not made.keyed:
                made.shards[PLAIN] = None
            return True
        if name not in self.collections:
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
        if sent.method == "DELETE":
            del self.collections[name]
            return True
        stored = self.collections[name]
        params = {key: stored.config.get(key) for key in _PARAMS if key in stored.config}
        schemas = {
            key: {"data_type": kind["type"], "params": kind, "points": 0} for key, kind in stored.indexes.items()
        }
        return {
            "status": "green",
            "optimizer_status": "ok",
            "segments_count": 1,
            "config": {"params": params, "hnsw_config": _HNSW, "optimizer_config": _OPTIMIZER, "wal_config": None},
            "payload_schema": schemas,
        }

    async def _of_collection(self, sent: Sent, stored: Stored, name: str, what: str) -> Any:
        body = sent.body
        match (sent.method, what):
            case ("PUT", "index"):
                made = models.CreateFieldIndex(**body)
                stored.indexes[made.field_name] = body["field_schema"]
                return _DONE
            case ("GET", "shards"):
                return {"shard_keys": [{"key": key} for key in stored.shards] if stored.keyed else None}
            case ("PUT", "shards"):
                key = models.CreateShardingKey(**body).shard_key
                if not self.cluster or not stored.keyed:
                    raise Refused(400, "Bad request: Distributed mode disabled")
                if key in stored.shards:
                    raise Refused(409, f"Wrong input: Shard key {key} already exists")
                stored.shards[str(key)] = None
                return True
            case ("PUT", _) if what.startswith("vectors/"):
                dense = models.DenseVectorNameConfig(**body).dense
                stored.config.setdefault("vectors", {})[what.removeprefix("vectors/")] = body["dense"]
                for made_before in stored.shards.values():
                    if made_before is not None:
                        named = models.DenseVectorNameConfig(dense=dense)
                        await made_before.create_vector_name(name, what.removeprefix("vectors/"), named)
                return _DONE
            case ("DELETE", _) if what.startswith("vectors/"):
                stored.config["vectors"].pop(what.removeprefix("vectors/"))
                for made_before in stored.shards.values():
                    if made_before is not None:
                        await made_before.delete_vector_name(name, what.removeprefix("vectors/"))
                return _DONE
            case ("POST", "points/vectors/delete"):
                fewer = models.DeleteVectors(**body)
                engine = await self._written(name, stored, fewer.shard_key)
                await engine.delete_vectors(name, fewer.vector, fewer.filter)
                return _DONE
            case ("POST", "points/payload/delete"):
                keys = models.DeletePayload(**body)
                await (await self._written(name, stored, keys.shard_key)).delete_payload(name, keys.keys, keys.filter)
                return _DONE
            case ("PUT", "points/vectors"):
                change = models.UpdateVectors(**body)
                engine = await self._written(name, stored, change.shard_key)
                await engine.update_vectors(name, change.points, update_filter=change.update_filter)
                return _DONE
            case ("PUT", "points"):
                points = models.PointsList(**body)
                engine = await self._written(name, stored, points.shard_key)
                await engine.upsert(
                    name, points.points, update_filter=points.update_filter, update_mode=points.update_mode
                )
                return _DONE
            case ("POST", "points/payload"):
                await self._set_payload(stored, name, models.SetPayload(**body))
                return _DONE
            case ("POST", "points/batch"):
                for operation in models.UpdateOperations(**body).operations:
                    assert isinstance(operation, models.SetPayloadOperation)
                    await self._set_payload(stored, name, operation.set_payload)
                return [_DONE for _ in body["operations"]]
            case ("POST", "points/delete"):
                chosen = models.FilterSelector(**body)
                await (await self._written(name, stored, chosen.shard_key)).delete(name, chosen.filter)
                return _DONE
            case ("POST", _):
                return await self._read(stored, name, what, body)
            case _:
                raise Refused(404, "")

    async def _set_payload(self, stored: Stored, name: str, change: models.SetPayload) -> None:
        await (await self._written(name, stored, change.shard_key)).set_payload(name, change.payload, change.filter)

    async def _read(self, stored: Stored, name: str, what: str, body: Any) -> Any:
        if what == "points/query/batch":
            requests = models.QueryRequestBatch(**body).searches
            found = []
            for one in requests:
                (engine,) = await self._asked(name, stored, one.shard_key)
                bare = one.model_copy(update={"shard_key": None})
                found += [answer.model_dump(mode="json") for answer in await engine.query_batch_points(name, [bare])]
            return found
        engines = await self._asked(name, stored, body.get("shard_key"))
        if what == "points":
            asked = models.PointRequest(**body)
            payload, vectors = asked.with_payload, asked.with_vector
            return [
                record.model_dump(mode="json")
                for engine in engines
                for record in await engine.retrieve(name, asked.ids, with_payload=payload, with_vectors=vectors)
            ]
        if what == "points/scroll":
            return await _scroll(stored, name, engines, models.ScrollRequest(**body))
        (engine,) = engines
        if what == "points/count":
            counted = models.CountRequest(**body)
            return {"count": (await engine.count(name, counted.filter, exact=bool(counted.exact))).count}
        assert what == "facet"
        wanted = models.FacetRequest(**body)
        if wanted.key not in stored.indexes:
            raise Refused(400, f"Bad request: no index for facet on {wanted.key}")
        answer = await engine.facet(name, wanted.key, wanted.filter, wanted.limit, exact=bool(wanted.exact))
        return answer.model_dump(mode="json")

    async def _written(self, name: str, stored: Stored, key: Any) -> AsyncQdrantClient:
        """A write needs the key where there are keys, and must name none where there are not."""
        if stored.keyed and key is None:
            raise Refused(400, "Wrong input: Shard key is not specified")
        (engine,) = await self._asked(name, stored, key)
        return engine

    async def _asked(self, name: str, stored: Stored, key: Any) -> list[AsyncQdrantClient]:
        if not stored.keyed and key is not None:
            raise Refused(400, "Bad request: Shard key used on a collection with automatic sharding")
        if stored.keyed and key is None:
            return [engine for engine in stored.shards.values() if engine is not None]
        wanted = PLAIN if key is None else key
        if wanted not in stored.shards:
            raise Refused(404, f"Not found: Shard key {key} not found")
        if stored.shards[wanted] is None:
            stored.shards[wanted] = await _engine(name, stored)
        return [engine for engine in (stored.shards[wanted],) if engine is not None]


async def _scroll(stored: Stored, name: str, engines: list[AsyncQdrantClient], asked: models.ScrollRequest) -> Any:
    if isinstance(asked.order_by, models.OrderBy) and asked.order_by.key not in stored.indexes:
        raise Refused(400, f"Bad request: no range index for order_by {asked.order_by.key}")
    records = []
    for engine in engines:
        found, _ = await engine.scroll(
            name,
            asked.filter,
            limit=asked.limit + 1,
            order_by=asked.order_by,
            offset=asked.offset,
            with_payload=asked.with_payload,
            with_vectors=bool(asked.with_vector),
        )
        records += found
    if asked.order_by is None:
        records.sort(key=lambda record: str(record.id))
    after = records[asked.limit].id if len(records) > asked.limit and asked.order_by is None else None
    page = [record.model_dump(mode="json") for record in records[: asked.limit]]
    return {"points": page, "next_page_offset": after}


async def _engine(name: str, stored: Stored) -> AsyncQdrantClient:
    engine = AsyncQdrantClient(location=":memory:")
    config = models.CreateCollection(**stored.config)
    await engine.create_collection(
        name, vectors_config=config.vectors or {}, sparse_vectors_config=config.sparse_vectors
    )
    return engine


def _result(result: Any) -> dict[str, Any]:
    return {"result": result, "status": "ok", "time": 0.0}


_DONE = {"operation_id": 1, "status": "completed"}
_PARAMS = (
    "vectors",
    "shard_number",
    "sharding_method",
    "replication_factor",
    "write_consistency_factor",
    "sparse_vectors",
)
_HNSW = {"m": 0, "ef_construct": 100, "full_scan_threshold": 10000}
_OPTIMIZER = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1000,
    "default_segment_number": 0,
    "flush_interval_sec": 5,
}
_CLUSTER = {
    "status": "enabled",
    "peer_id": 1,
    "peers": {"1": {"uri": "http://127.0.0.1:6335/"}},
    "raft_info": {"term": 1, "commit": 1, "pending_operations": 0, "role": "Leader", "leader": 1, "is_voter": True},
    "consensus_thread_status": {"consensus_thread_status": "working", "last_update": "2026-01-01T00:00:00Z"},
    "message_send_failures": {},
}
