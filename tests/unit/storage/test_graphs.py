"""Banks big enough for a graph of the engine's: the lanes bring what an exact search brings all the same."""

import random

import numpy as np
import pytest
from qdrant_edge import (
    EdgeOptimizersConfig,
)

from memory.filters import AnyOf
from memory.ids import Scope
from memory.recipes import HYBRID
from memory.records import Vectors
from memory.store_calls import InsertUnits, Lane, NewUnit, SearchLanes, SetLive
from storage import edge_shard, schema
from storage.edge_store import EdgeStore
from tests.support.builders import DIM, fresh_scope, new_unit

SLICE = 64
CANDIDATES = HYBRID.candidates["mid"]
"""As many as a recall asks of a lane."""


def vectors(count: int, seed: int) -> np.ndarray:
    """Unit vectors around a few centres, as texts lie."""
    chance = np.random.default_rng(seed)
    centres = chance.normal(size=(12, DIM))
    rows = centres[chance.integers(0, 12, count)] + 0.5 * chance.normal(size=(count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def fill(store: EdgeStore, scope: Scope, rows: np.ndarray) -> list[str]:
    news = []
    for number, row in enumerate(rows):
        made = new_unit(scope, f"item {number}", tags=("even" if number % 2 == 0 else "odd",))
        news.append(NewUnit(made.unit, Vectors(row, f"item w{number}")))
    for start in range(0, len(news), SLICE):
        part = tuple(news[start : start + SLICE])
        store.call(scope, InsertUnits(part))
        store.call(scope, SetLive(tuple(new.unit.id for new in part), 1, 1))
    return [new.unit.id for new in news]


def low_thresholds(path, monkeypatch, full_scan_units: int) -> EdgeStore:
    """A store whose engine builds graphs for banks above `full_scan_units`."""
    monkeypatch.setattr(schema, "FULL_SCAN_UNITS", full_scan_units)
    made = edge_shard.EdgeConfig

    def config(**fields):
        return made(**fields, optimizers=EdgeOptimizersConfig(indexing_threshold=1))

    monkeypatch.setattr(edge_shard, "EdgeConfig", config)
    return EdgeStore(path, DIM)


@pytest.mark.long  # the engine holds the interpreter while it builds graphs
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("big", "small", "full_scan_units"), [(1500, 40, 300), (22_000, 300, 20_000)])
def test_a_stack_of_one_big_bank_and_fifteen_small_ones_finds_each_item(
    tmp_path, monkeypatch, big, small, full_scan_units
):
    store = low_thresholds(tmp_path, monkeypatch, full_scan_units)
    stack = [fresh_scope() for _ in range(16)]
    rows = [vectors(big if number == 0 else small, number) for number in range(16)]
    ids = [fill(store, scope, part) for scope, part in zip(stack, rows, strict=True)]
    store.flush()
    assert store._units.optimize(), "nothing was optimised"
    chance = random.Random(7)
    for scope, part, names in zip(stack, rows, ids, strict=True):
        for at in chance.sample(range(len(part)), min(100, len(part))):
            lanes = (Lane(CANDIDATES, dense=part[at]), Lane(CANDIDATES, lexical=f"w{at}"))
            semantic, keyword = store.call(scope, SearchLanes(lanes))
            assert (semantic.ids[0], keyword.ids) == (names[at], (names[at],)), f"item {at} of {len(part)}"
    # The ten nearest of the big bank, with a filter and without, against an exact search.
    found = total = 0
    for query in vectors(50, 99):
        order = np.argsort(-(rows[0] @ query), kind="stable")
        for where, wanted in (
            (None, order[:10]),
            (AnyOf("tags", ("even",)), [n for n in order if n % 2 == 0][:10]),
        ):
            (lane,) = store.call(stack[0], SearchLanes((Lane(CANDIDATES, dense=query),), *([where] if where else [])))
            found += len(set(lane.ids[:10]) & {ids[0][n] for n in wanted})
            total += 10
    assert found == total
    store.close()
