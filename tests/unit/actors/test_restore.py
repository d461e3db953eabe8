"""Restored slices in a bank's owner: their own seqs in every engine, and a crash at any call is one like any other."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from memory.commands import Item, Message, Retain
from memory.errors import Conflict, Unprocessable
from memory.ids import Scope
from memory.moving import Move
from memory.records import RecordKind, Unit
from memory.restore_commands import BeginRestore, RestoreSlice
from memory.store_calls import GetUnits, ListRecords, ListUnits, ReadHead
from storage.reference_store import ReferenceStore
from tests.support.bank_process import BankProcess, activate, perform_all
from tests.support.bank_state import check_bank, pending_units, read_bank
from tests.support.builders import DIM, fresh_scope

LIFE = tuple(
    Retain(f"r{n}", (Item((Message(f"text {n}", "user", "Ann"), Message(f"more {n}")), f"d{n % 3}"),)) for n in range(5)
)
OPERATIONS = {"b", "s", "s2"}


def lived(scope: Scope) -> ReferenceStore:
    source = ReferenceStore(DIM)
    perform_all(source, scope, LIFE, "source")
    return source


def commands(source: ReferenceStore, scope: Scope, base: int = 0) -> tuple[Any, ...]:
    """What restores a bank of documents alone, in two slices."""
    move = Move(base, lambda unit_id: unit_id)
    units = source.call(scope, ListUnits(100)).units
    documents = []
    for record in source.call(scope, ListRecords(RecordKind.DOCUMENT, 100)).records:
        own = sorted((u for u in units if u.document_id == record.key), key=lambda unit: unit.position)
        documents.append(move.document([record], own))
    begin = BeginRestore("b", "origin", source.call(scope, ReadHead()).seq)
    operations = source.call(scope, ListRecords(RecordKind.OPERATION, 100)).records
    rest = RestoreSlice("s2", tuple(documents[2:]), records=tuple(map(move.record, operations)))
    return begin, RestoreSlice("s", tuple(documents[:2])), rest


def seqs(engine: Any, scope: Scope) -> list[tuple[str, int]]:
    return [(unit.text, unit.seq) for unit in engine.call(scope, ListUnits(100)).units]


def test_units_keep_their_order_and_audits_find_nothing_in_any_engine(engine):
    scope = fresh_scope()
    source = lived(scope)
    perform_all(engine, scope, commands(source, scope))
    assert seqs(engine, scope) == seqs(source, scope)
    before, after = read_bank(source, scope), read_bank(engine, scope)
    assert replace(after, operations=after.operations - OPERATIONS) == before
    check_bank(engine, scope)
    perform_all(engine, scope, [Retain("later", (Item("text 4 is replaced", "d1"),))], "later")
    assert seqs(engine, scope)[0][0] == "text 4 is replaced"
    check_bank(engine, scope)


def test_a_crash_at_any_call_of_a_slice_leaves_it_out_or_whole():
    scope = fresh_scope()
    source = lived(scope)
    todo = commands(source, scope)
    expected = read_bank(source, scope)
    calls = 0
    while True:
        engine = ReferenceStore(DIM)
        perform_all(engine, scope, todo[:1], "begun")
        with BankProcess(scope, "p", todo[1:]) as process:
            done = sum(process.step(engine) for _ in range(calls))
        activate(engine, scope, f"after-{calls}")
        check_bank(engine, scope)
        held = {unit.document_id for unit in engine.call(scope, ListUnits(100)).units}
        assert held in (set(), {one.id for one in todo[1].documents}, {"d0", "d1", "d2"})
        perform_all(engine, scope, todo, f"again-{calls}")
        assert not pending_units(engine, scope)
        after = read_bank(engine, scope)
        assert replace(after, operations=after.operations - OPERATIONS) == expected
        assert seqs(engine, scope) == seqs(source, scope)
        if done < calls:
            return
        calls += 1


@given(st.integers(1, 3), st.permutations(range(3)))
def test_slices_in_any_order_behind_any_seq_give_one_bank(before, order):
    scope = Scope("t", "b")
    source, engine = lived(scope), ReferenceStore(DIM)
    begin, first, rest = commands(source, scope)
    own = [Retain(f"own{n}", (Item("was here before", f"mine {n}"),)) for n in range(before)]
    perform_all(engine, scope, own, "own")
    perform_all(engine, scope, [begin], "begin")
    head = engine.call(scope, ReadHead())
    behind = head.seq - begin.seqs - 1
    shifted = commands(source, scope, behind)
    pieces = (shifted[1], shifted[2], shifted[1])
    perform_all(engine, scope, [replace(pieces[at], operation_id=f"{at}") for at in order], "pieces")
    restored = [(text, seq - behind) for text, seq in seqs(engine, scope) if text != "was here before"]
    assert restored == seqs(source, scope)
    check_bank(engine, scope)
    assert first.documents
    assert rest.records


def test_what_is_no_part_of_the_bank_is_refused_and_a_begin_is_known_again():
    scope, other = Scope("t", "b"), Scope("t", "another")
    source, engine = lived(scope), ReferenceStore(DIM)
    begin, first, _ = commands(source, scope)
    perform_all(engine, other, [begin], "b")
    at = engine.call(other, ReadHead())
    bank = activate(engine, other, "next")

    def perform(command: Any) -> Any:
        with BankProcess(other, "q", [command]) as process:
            while process.step(engine):
                pass
            return process.error

    assert bank is not None
    if scope.bucket != other.bucket:
        assert isinstance(perform(first), Unprocessable)
    assert perform(begin) is None
    assert engine.call(other, ReadHead()).seq >= at.seq
    assert isinstance(perform(replace(begin, seqs=9)), Conflict)
    unit: Unit = next(iter(first.documents[0].units))
    assert engine.call(other, GetUnits((unit.id,))) == {}
