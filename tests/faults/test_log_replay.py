"""kill -9 of a process that writes to the embedded engine: after its log is replayed, points and indexes agree.

A condition in the log would be judged anew at the replay, over files that are newer than the last flush; points then
end up with the index entries of others, and a head that cannot be swapped any more bricks its bank.
"""

import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from qdrant_edge import CountRequest, EdgeShard, Filter, ScrollRequest

from memory.filters import AnyOf, Between, Empty, HasId
from memory.ids import Scope
from memory.protocol import TakeEpoch
from storage import schema
from storage.edge_store import EdgeStore
from storage.query_to_edge import condition
from storage.run import run
from tests.faults.log_writer import BANKS
from tests.support.builders import DIM


def disagreements(shard: EdgeShard, indexes: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """(id, field, value) wherever a filter on the value does not find the point that holds it."""
    found = []
    offset: Any = None
    while True:
        records, offset = shard.scroll(ScrollRequest(offset=offset, limit=1000, with_payload=True))
        for record in records:
            for field, kind in indexes.items():
                if kind == "datetime":
                    continue
                value = (record.payload or {}).get(field)
                wanted = (
                    Empty(field)
                    if value in (None, [])
                    else Between(field, value, value)
                    if kind == "integer"  # what their index is for
                    else AnyOf(field, tuple([value] if isinstance(value, str) else value))
                )
                where = Filter(must=[condition(HasId((str(record.id),))), condition(wanted)])
                if shard.count(CountRequest(filter=where, exact=True)) != 1:
                    found.append((str(record.id), field, value))
        if offset is None:
            return found


def wrong_entries(store: EdgeStore) -> tuple[list[tuple[str, str, Any]], list[tuple[str, str, Any]]]:
    """Disagreements of records and of units."""
    return (
        disagreements(store._records, schema.EMBEDDED_RECORD_INDEXES),
        disagreements(store._units, schema.EMBEDDED_UNIT_INDEXES),
    )


@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_points_and_indexes_agree_after_every_replay(tmp_path: Path, rounds: int) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    moments = random.Random(seed)
    for number in range(rounds):
        command = [sys.executable, "-m", "tests.faults.log_writer", str(tmp_path), str(seed + number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "written\n", f"seed {seed}, round {number}: the writer ended by itself"
            threading.Event().wait(moments.uniform(0.1, 1.5))
            writer.kill()
        store = EdgeStore(tmp_path, DIM)
        assert wrong_entries(store) == ([], []), f"seed {seed}, round {number}"
        for bank in range(BANKS):
            run(store, Scope("t", f"bank {bank}"), TakeEpoch(f"{seed} {number}"))
        store.close()
    print(f"seed {seed}: {rounds} kills, points and indexes agree after each")
