"""Open, create, flush and close one embedded Qdrant collection with the vectors and indexes of the schema."""

import shutil
import time
import uuid
from pathlib import Path

from qdrant_edge import (
    DatetimeIndexParams,
    Distance,
    EdgeConfig,
    EdgeShard,
    EdgeSparseVectorParams,
    EdgeVectorParams,
    HnswIndexConfig,
    IntegerIndexParams,
    KeywordIndexParams,
    Modifier,
    UpdateOperation,
)

from memory.errors import StoreLocked
from storage import schema
from storage.schema import IndexKind
from storage.translate_errors import translate_edge

_CONFIG_FILE = "edge_config.json"
_ASIDE = ".making"
_POLL_S = 0.1


def open_units(path: Path, dim: int, lock_timeout_s: float) -> EdgeShard:
    """The collection of units; created where there is none."""
    graph = HnswIndexConfig(
        m=0,
        ef_construct=100,
        full_scan_threshold=schema.FULL_SCAN_UNITS * dim * 4 // 1024,
        payload_m=schema.HNSW_PAYLOAD_M,
    )
    config = EdgeConfig(
        vectors={schema.DENSE: EdgeVectorParams(size=dim, distance=Distance.Cosine)},
        sparse_vectors={schema.LEXICAL: EdgeSparseVectorParams(modifier=Modifier.Idf)},
        hnsw_config=graph,
    )
    return _open(path, config, schema.UNIT_INDEXES, lock_timeout_s)


def open_records(path: Path, lock_timeout_s: float) -> EdgeShard:
    """The collection of records; created where there is none. The engine wants a vector named; none is used."""
    return _open(
        path,
        EdgeConfig(sparse_vectors={schema.UNUSED: EdgeSparseVectorParams()}),
        schema.RECORD_INDEXES,
        lock_timeout_s,
    )


def _open(path: Path, config: EdgeConfig, indexes: dict[str, IndexKind], lock_timeout_s: float) -> EdgeShard:
    if not (path / _CONFIG_FILE).exists():
        _create(path, config, indexes)
    return _load(path, lock_timeout_s)


def _create(path: Path, config: EdgeConfig, indexes: dict[str, IndexKind]) -> None:
    """Made aside and renamed: a process killed meanwhile must not leave a collection without its indexes."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_ASIDE}")
    aside.mkdir(parents=True)
    try:
        shard = EdgeShard.create(str(aside), config)
        for field, kind in indexes.items():
            shard.update(UpdateOperation.create_field_index(field, _index(kind)))
        shard.flush()
        shard.close()
        aside.rename(path)
    except Exception as exc:
        if not (path / _CONFIG_FILE).exists():  # else another process was faster: it holds the lock
            raise translate_edge(exc) from exc
    finally:
        for left in path.parent.glob(f"{path.name}.*{_ASIDE}"):
            shutil.rmtree(left, ignore_errors=True)


def _load(path: Path, lock_timeout_s: float) -> EdgeShard:
    """Retried while another process holds the lock: a killed one may take a moment to be gone."""
    give_up = time.monotonic() + lock_timeout_s
    while True:
        try:
            return EdgeShard.load(str(path))
        except Exception as exc:
            error = translate_edge(exc)
            if not isinstance(error, StoreLocked) or time.monotonic() >= give_up:
                raise error from exc
            time.sleep(_POLL_S)


def _index(kind: IndexKind) -> KeywordIndexParams | IntegerIndexParams | DatetimeIndexParams:
    if kind == "tenant":
        return KeywordIndexParams(is_tenant=True)
    if kind == "keyword":
        return KeywordIndexParams(enable_hnsw=False)
    if kind == "integer":
        return IntegerIndexParams(lookup=True, range=True, enable_hnsw=False)
    return DatetimeIndexParams(enable_hnsw=False)
