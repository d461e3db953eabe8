"""Schema version n -> n + 1, step by step, on a directory that nobody else has open.

Every step may be killed anywhere and done again: it changes only what is still of the old version, and the card names
the new version when all shards are through.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
from qdrant_edge import EdgeShard, Filter, Point, ScrollRequest, UpdateOperation

from memory.filters import AnyOf
from memory.plans import WHOLE
from memory.records import RecordKind
from storage import codec, schema
from storage.directory import Card, shard_path, write_card
from storage.edge_shard import open_records, open_units
from storage.probe import needs_probe, probe
from storage.query_to_edge import condition

_PAGE_POINTS: Final = 256
_UNSETTLED_V1: Final = ""
"""Status of a commit record in version 1 that was not replaced by its summary."""

log = logging.getLogger("lorebank.upgrade")


def upgrade(data: Path, card: Card, lock_timeout_s: float) -> Card:
    """Bring a directory to today's schema version; its card after it.

    Raises:
        StoreLocked, StoreDamaged: a shard cannot be opened.
    """
    while card.schema_version < schema.SCHEMA_VERSION:
        step = STEPS[card.schema_version]
        for index in range(card.storage_shards):
            path = shard_path(data, index)
            if not path.exists():
                continue
            log.warning("%s: from schema version %s to %s", path, card.schema_version, card.schema_version + 1)
            if needs_probe(path):
                probe(path, card.dim, lock_timeout_s)
            units = open_units(path / schema.UNITS, card.dim, lock_timeout_s)
            records = open_records(path / schema.RECORDS, lock_timeout_s)
            step(units, records)
            for shard in (units, records):
                shard.flush()
                shard.close()
        card = replace(card, schema_version=card.schema_version + 1)
        write_card(data, card)
        log.warning("%s has schema version %s now", data, card.schema_version)
    return card


def _mark_whole_commits(_: EdgeShard, records: EdgeShard) -> None:
    """1 -> 2: a commit record says by its status that it holds texts, and names the one before it.

    Those of version 1 that its bank's head does not name never became commits; they are removed.
    """
    where = (AnyOf(schema.KIND, (RecordKind.COMMIT.value,)), AnyOf(schema.STATUS, (_UNSETTLED_V1,)))
    done = 0
    while found := _page(records, where):
        for point, payload in found:
            commits = _named_commits(records, payload)
            numbers = {key: number for number, key in commits.items()}
            if payload[schema.KEY] not in numbers:
                records.update(UpdateOperation.delete_points([point]))
                continue
            body = orjson.loads(payload[schema.BODY])
            previous = commits.get(numbers[payload[schema.KEY]] - 1, "")
            changed = {schema.STATUS: WHOLE, schema.BODY: orjson.dumps({**body, "previous": previous}).decode()}
            records.update(UpdateOperation.upsert_points([Point(point, {}, {**payload, **changed})]))
        done += len(found)
        log.warning("%s commit records looked at", done)


STEPS: Final[Mapping[int, Callable[[EdgeShard, EdgeShard], None]]] = {1: _mark_whole_commits}
"""Schema version -> what brings the two collections of a shard to the next one."""


def _named_commits(records: EdgeShard, payload: Mapping[str, Any]) -> Mapping[int, str]:
    scope = codec.scope_of(payload)
    found = records.retrieve([codec.head_id(scope)], True, False)
    return codec.head_of(found[0].payload or {}).commits if found else {}


def _page(shard: EdgeShard, where: tuple[AnyOf, ...]) -> list[tuple[str, dict[str, Any]]]:
    matching = Filter(must=[condition(part) for part in where])
    records, _ = shard.scroll(ScrollRequest(limit=_PAGE_POINTS, filter=matching, with_payload=True))
    return [(str(record.id), record.payload or {}) for record in records]
