import numpy as np
import pytest

from loadtests.big_directory import DIM, Material, Owner, bank_sizes, fill
from memory.ids import Scope
from memory.store_calls import ListUnits, ReadHead
from storage.reference_store import ReferenceStore
from storage.run import run


class ReferenceShard:
    """The store's calls and procedures in plain Python."""

    def __init__(self):
        self.engine = ReferenceStore(DIM)

    def perform(self, scope, request):
        return run(self.engine, scope, request)


def test_banks_have_the_sizes_asked_for_and_shares_of_the_rest():
    sizes = bank_sizes(10_000, 50, [5000, 1000])
    units = [bank.units for bank in sizes]
    assert (len(sizes), len({bank.scope for bank in sizes})) == (50, 50)
    assert units == sorted(units, reverse=True)
    assert {5000, 1000} <= set(units)
    assert 10_000 - 50 <= sum(units) <= 10_000
    with pytest.raises(ValueError, match="too few"):
        bank_sizes(6000, 50, [5000, 1000])


def test_vectors_are_of_unit_length_and_differ():
    rows = Material(1).vectors(200)
    assert (rows.shape, rows.dtype) == ((200, DIM), np.float32)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    cosines = rows @ rows.T - np.eye(200)
    assert cosines.max() < 0.999


def test_a_directory_is_filled_once_and_what_is_taken_away_is_filled_again():
    shard, sizes = ReferenceShard(), bank_sizes(600, 4, [400])
    assert sum(fill(shard, sizes, Material(1))) == sum(bank.units for bank in sizes)
    assert [shard.perform(bank.scope, ReadHead()).counters["units"] for bank in sizes] == [b.units for b in sizes]
    owner = Owner(shard, sizes[0].scope, Material(2))
    owner.execute(owner.plan_clear())
    assert shard.perform(sizes[0].scope, ListUnits(1)).total == 0
    list(fill(shard, sizes, Material(3)))
    assert shard.perform(sizes[0].scope, ListUnits(1)).total == 400


def test_a_document_is_replaced_and_deleted():
    shard, scope = ReferenceShard(), Scope("load", "bank")
    owner = Owner(shard, scope, Material(1))
    for turns in (5, 3):
        owner.execute(owner.plan_turns("d", turns))
        assert shard.perform(scope, ListUnits(1)).total == turns
    owner.execute(owner.plan_delete("d"))
    assert shard.perform(scope, ListUnits(1)).total == 0
