"""Open, create, flush and close one embedded Qdrant collection with the vectors and indexes of the schema."""

import logging
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import orjson
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
    Point,
    UpdateOperation,
)

from memory.errors import StoreDamaged, StoreLocked, Unprocessable
from storage import schema
from storage.edge_collection import EdgeCollection
from storage.edge_errors import RESTORE, translate_edge
from storage.edge_scroll import all_points
from storage.edge_spaces import CONFIG_FILE as _CONFIG_FILE
from storage.edge_spaces import match_vectors, named_vectors
from storage.lock_holders import name_holders
from storage.operation_marks import takes_writes
from storage.schema import IndexKind

SEGMENTS = "segments"
LOG = "wal"
_VERSION_FILE = "version.info"
_ASIDE = ".making"
_OLD = ".old"
_POLL_S = 0.1
_COPIED_POINTS = 256

log = logging.getLogger("lorebank.damage")


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
    return _open(path, config, schema.EMBEDDED_UNIT_INDEXES, lock_timeout_s)


def open_records(path: Path, lock_timeout_s: float) -> EdgeShard:
    """The collection of records; created where there is none. The engine wants a vector named; none is used."""
    return _open(
        path,
        EdgeConfig(sparse_vectors={schema.UNUSED: EdgeSparseVectorParams()}),
        schema.EMBEDDED_RECORD_INDEXES,
        lock_timeout_s,
    )


def write_anew(path: Path, shard: EdgeShard, make: Callable[[Path], EdgeShard]) -> None:
    """Put a collection that holds the points there are in the place of one whose files hold removed ones, too.

    The shard is closed by that; nobody may write meanwhile. Killed anywhere, the old or the new one is there, and what
    was half made goes when this is done again.
    """
    _remove_half_made(path)
    aside, old = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_ASIDE}"), path.with_name(path.name + _OLD)
    try:
        anew = make(aside)
        match_vectors(anew, aside, named_vectors(path))
        stored = all_points(shard, vectors=True, page_points=_COPIED_POINTS)
        EdgeCollection(anew).put(Point(p.id, cast("Any", p.vector) or {}, p.payload or {}) for p in stored)
        anew.flush()
        anew.close()
        shard.close()
    except Exception as exc:
        raise translate_edge(exc, str(path)) from exc
    shutil.rmtree(old, ignore_errors=True)
    path.rename(old)
    aside.rename(path)
    shutil.rmtree(old)


def _open(path: Path, config: EdgeConfig, indexes: dict[str, IndexKind], lock_timeout_s: float) -> EdgeShard:
    if path.with_name(path.name + _OLD).exists() and not path.exists():  # killed between two renames of write_anew
        path.with_name(path.name + _OLD).rename(path)
    if not any((path / part).exists() for part in (_CONFIG_FILE, SEGMENTS, LOG)):
        _create(path, config, indexes)
    _refuse_dropped_segments(path)
    shard = _load_whole(path, config, lock_timeout_s)
    if takes_writes(shard):
        _match_indexes(shard, indexes)
        return shard
    log.error("%s ignores writes, for its log was lost and counts from the start again; it is written anew", path)
    _rewrite(path, shard, config, indexes)
    return _load(path, None, lock_timeout_s)


def _load_whole(path: Path, config: EdgeConfig, lock_timeout_s: float) -> EdgeShard:
    """With its configuration, else the schema's, else what the engine finds in the files: vectors of two models."""
    if _is_readable(path / _CONFIG_FILE):
        return _load(path, None, lock_timeout_s)
    try:
        return _load(path, config, lock_timeout_s)
    except StoreDamaged:
        (path / _CONFIG_FILE).unlink(missing_ok=True)
        return _load(path, None, lock_timeout_s)


def _rewrite(path: Path, shard: EdgeShard, config: EdgeConfig, indexes: dict[str, IndexKind]) -> None:
    """Move every point to a new collection in the place of the old one, which is kept aside."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_ASIDE}")
    aside.mkdir()
    try:
        anew = _made(aside, config, indexes)
        match_vectors(anew, aside, named_vectors(path))
        copy = EdgeCollection(anew)
        stored = all_points(shard, vectors=True, page_points=_COPIED_POINTS)
        copy.put(Point(point.id, cast("Any", point.vector) or {}, point.payload or {}) for point in stored)
        anew.flush()
        anew.close()
        shard.close()
    except Exception as exc:
        raise translate_edge(exc, str(path)) from exc
    old = path.with_name(f"{path.name}.{uuid.uuid4().hex}.damaged")
    path.rename(old)
    aside.rename(path)
    log.error("%s holds the collection as it was; it may be deleted", old)


def _is_readable(path: Path) -> bool:
    """Whether the engine's configuration is whole; what is not is put aside, for all of it follows from the schema."""
    try:
        orjson.loads(path.read_bytes())
    except FileNotFoundError:
        log.warning("%s is missing; it is made anew", path)
        return False
    except orjson.JSONDecodeError as exc:
        log.warning("%s is damaged (%s); it is put aside and made anew", path, exc)
        path.replace(path.with_suffix(".damaged"))
        return False
    return True


def _refuse_dropped_segments(path: Path) -> None:
    """The engine deletes a segment without version.info, taking it for one half made.

    Raises:
        StoreDamaged: no segment has one, so that everything would be deleted.
    """
    segments = [segment for segment in path.glob(f"{SEGMENTS}/*") if (segment / "segment.json").exists()]
    if segments and not any((segment / _VERSION_FILE).exists() for segment in segments):
        raise StoreDamaged(
            f"{segments[0] / _VERSION_FILE} is missing, and the engine would delete the segment for that: copy the file"
            f" from a segment of another collection, or {RESTORE}"
        )


def _create(path: Path, config: EdgeConfig, indexes: dict[str, IndexKind]) -> None:
    """Made aside and renamed: a process killed meanwhile must not leave a collection without its indexes."""
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_ASIDE}")
    aside.mkdir(parents=True)
    try:
        shard = _made(aside, config, indexes)
        shard.flush()
        shard.close()
        aside.rename(path)
    except Exception as exc:
        if not (path / _CONFIG_FILE).exists():  # else another process was faster: it holds the lock
            raise translate_edge(exc, str(path)) from exc
    finally:
        _remove_half_made(path)


def _remove_half_made(path: Path) -> None:
    for left in path.parent.glob(f"{path.name}.*{_ASIDE}"):
        shutil.rmtree(left, ignore_errors=True)


def _made(path: Path, config: EdgeConfig, indexes: dict[str, IndexKind]) -> EdgeShard:
    shard = EdgeShard.create(str(path), config)
    _match_indexes(shard, indexes)
    return shard


def _match_indexes(shard: EdgeShard, indexes: dict[str, IndexKind]) -> None:
    """Make the indexes that are not there, and drop those that nothing is asked by any more.

    All of a new collection's are made, those of a lost segment, those that an earlier version did not have. Dropping
    takes milliseconds, whatever they hold.
    """
    present = set(shard.info().payload_schema)
    for field in present - set(indexes):
        shard.update(UpdateOperation.delete_field_index(field))
    for field, kind in indexes.items():
        if field not in present:
            shard.update(UpdateOperation.create_field_index(field, _index(kind)))


def _load(path: Path, config: EdgeConfig | None, lock_timeout_s: float) -> EdgeShard:
    """Retried while another process holds the lock: a killed one may take a moment to be gone."""
    give_up = time.monotonic() + lock_timeout_s
    while True:
        try:
            return EdgeShard.load(str(path), config)
        except Exception as exc:
            error = translate_edge(exc, str(path))
            if isinstance(error, Unprocessable):  # nothing was asked to be stored
                raise StoreDamaged(f"{path}: the collection cannot be loaded: {exc}; {RESTORE}") from exc
            if not isinstance(error, StoreLocked):
                raise error from exc
            if time.monotonic() >= give_up:
                raise StoreLocked(f"{error}; held by {name_holders(path)}") from exc
            time.sleep(_POLL_S)


def _index(kind: IndexKind) -> KeywordIndexParams | IntegerIndexParams | DatetimeIndexParams:
    if kind == "tenant":
        return KeywordIndexParams(is_tenant=True)
    if kind == "keyword":
        return KeywordIndexParams(enable_hnsw=False)
    if kind == "integer":
        return IntegerIndexParams(lookup=False, range=True, enable_hnsw=False)
    return DatetimeIndexParams(enable_hnsw=False)
