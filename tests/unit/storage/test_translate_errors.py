import numpy as np
import pytest

from memory.errors import LorebankError, StoreDamaged, StoreLocked, Unavailable, Unprocessable
from memory.filters import AnyOf
from memory.records import Record, RecordKind
from memory.store_calls import GetUnits, InsertUnits, Lane, ListUnits, SearchLanes, WriteRecords
from storage.translate_errors import EDGE_TABLE, translate_edge
from tests.support.builders import fresh_scope, new_unit


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Service runtime error: Can't init WAL: Kind(WouldBlock)", StoreLocked),
        ("Service runtime error: Shard is not initialized", Unavailable),
        ("Vector dimension error: expected dim: 32, got 31", Unprocessable),
        ("failed to parse x as UUID: invalid length: found 3", Unprocessable),
        ("failed to extract enum Helper ('String | Integer')", Unprocessable),
        ("'utf-8' codec can't encode character '\\ud800': surrogates not allowed", Unprocessable),
        ("Integer exceeds 64-bit range", Unprocessable),
        ("Failed to decompress LZ4", StoreDamaged),
        ("Can't load segment", StoreDamaged),
        ("Can't init WAL: Kind(InvalidData)", StoreDamaged),
        ("No such file or directory (os error 2)", StoreDamaged),
        ("no one has seen this before", StoreDamaged),
        ("", StoreDamaged),
    ],
)
def test_what_the_engine_says_becomes_one_of_our_errors(text: str, error: type[LorebankError]):
    made = translate_edge(Exception(text))
    assert type(made) is error
    assert text in str(made)


def test_every_row_of_the_table_is_reached():
    """A row behind a broader one would never count."""
    samples = [
        "WouldBlock",
        "Shard is not initialized",
        "elements range 1..2 is out of bounds, file contains 0 elements",
        "Corrupted ID tracker mapping storage",
        "dimension",
        "failed to parse",
        "failed to open WAL",
        "Failed to decompress LZ4 value",
        "failed to load segment",
        "corrupt",
    ]
    for text, (_, error, meaning, remedy) in zip(samples, EDGE_TABLE, strict=True):
        made = translate_edge(Exception(text), "data/units")
        assert type(made) is error
        assert str(made).startswith(f"data/units: {meaning}: {text}")
        assert str(made).endswith(remedy)


@pytest.mark.parametrize(
    "call",
    [
        lambda scope: GetUnits(("no-id",)),
        lambda scope: ListUnits(5, where=AnyOf("tags", ("\ud800",))),
        lambda scope: WriteRecords((Record(RecordKind.OPERATION, "\ud800", {}),)),
        lambda scope: InsertUnits((new_unit(scope, "plain", tags=("\ud800",)),)),
        lambda scope: SearchLanes((Lane(5, dense=np.ones(3, np.float32)),)),
    ],
)
def test_a_value_the_engine_cannot_take_is_the_callers(edge, call):
    scope = fresh_scope()
    with pytest.raises(Unprocessable):
        edge.call(scope, call(scope))


def test_the_engines_error_is_the_cause(edge):
    with pytest.raises(Unprocessable) as caught:
        edge.call(fresh_scope(), GetUnits(("no-id",)))
    assert "no-id" in str(caught.value.__cause__)
