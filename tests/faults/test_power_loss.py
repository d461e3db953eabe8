"""A power loss between two flushes: the engine's files hold any mixture of old and new pages, the logs are whole.

Power is not cut here. The pages of the files as they were at the last flush and as they stood at the end are mixed by
chance, as a kernel may have written them; so are the lengths of files that grew, and files that were new may be empty.
"""

import os
import random
from pathlib import Path
from typing import Any

import pytest

from memory.ids import Scope
from memory.protocol import TakeEpoch
from storage.directory import MARKS_FILE
from storage.edge_scroll import all_points
from storage.edge_shard import LOG
from storage.edge_store import EdgeStore
from storage.operation_marks import COUNTER_ID
from storage.run import run
from tests.faults.log_writer import BANKS, write_some
from tests.faults.test_log_replay import wrong_entries
from tests.support.builders import DIM
from tests.support.damaging import copy_of

PAGE_BYTES = 4096
COMMANDS = 60


def content(store: EdgeStore) -> dict[str, Any]:
    """Payload and vectors of every point but the counters."""
    points = [point for shard in (store._units, store._records) for point in all_points(shard, vectors=True)]
    return {
        str(point.id): (point.payload, {name: _numbers(vector) for name, vector in (point.vector or {}).items()})
        for point in points
        if str(point.id) != COUNTER_ID
    }


def _numbers(vector: Any) -> Any:
    return (tuple(vector.indices), tuple(vector.values)) if hasattr(vector, "indices") else tuple(map(float, vector))


def mix_in(old: Path, directory: Path, share: float, chance: random.Random) -> int:
    """Put pages of the old files into the new ones, but for a share of those that differ; how many were put."""
    taken = 0
    for path in (path for path in directory.rglob("*") if path.is_file()):
        before = old / path.relative_to(directory)
        if LOG in path.parts or path.name == MARKS_FILE:  # synced
            continue
        was = before.read_bytes() if before.exists() else b""
        now = path.read_bytes()
        with path.open("r+b") as file:
            for at in range(0, len(now), PAGE_BYTES):
                page = now[at : at + PAGE_BYTES]
                older = was[at : at + PAGE_BYTES].ljust(len(page), b"\0")
                if page != older and chance.random() >= share:
                    os.pwrite(file.fileno(), older, at)
                    taken += 1
    return taken


@pytest.mark.parametrize(
    ("rounds", "share"),
    [
        (1, 0.5),
        *(pytest.param(20, share, marks=[pytest.mark.long, pytest.mark.timeout(900)]) for share in (0.0, 0.5, 0.97)),
    ],
)
def test_synced_logs_bring_everything_back_over_any_mixture_of_pages(tmp_path: Path, rounds: int, share: float) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    chance = random.Random(seed)
    live = tmp_path / "live"
    store = EdgeStore(live, DIM)
    write_some(store, chance, COMMANDS)
    for number in range(rounds):
        while store.dirty_bytes:
            store.flush()
        old = copy_of(live, tmp_path / f"old {number}")
        write_some(store, chance, COMMANDS)
        store.sync()
        new = copy_of(live, tmp_path / f"new {number}")
        assert mix_in(old, new, share, chance) > 0
        found = EdgeStore(new, DIM)
        assert found.report is None, f"seed {seed}, round {number}"
        assert without_heads(content(found)) == without_heads(content(store)), f"seed {seed}, round {number}"
        assert wrong_entries(found) == ([], []), f"seed {seed}, round {number}"
        for bank in range(BANKS):
            run(found, Scope("t", f"bank {bank}"), TakeEpoch(f"{seed} {number}"))
        found.close()
    store.close()
    print(f"seed {seed}: {rounds} power losses, everything there after each")


def without_heads(points: dict[str, Any]) -> dict[str, Any]:
    """Heads move on when a store is opened: banks with texts that were not let go are handed to their next owners."""
    return {point: found for point, found in points.items() if (found[0] or {}).get("kind") != "head"}
