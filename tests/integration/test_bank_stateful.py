"""Random sequences of commands, failures and changes of owner at one bank, against a dictionary."""

import asyncio
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from memory.commands import Command, DeleteBank, DeleteDocument, Message, UpdateBank
from memory.errors import NotFound, StaleEpoch, Unavailable
from memory.records import UnitKind
from memory.store_calls import (
    FindLive,
    InsertUnits,
    ListUnits,
    MoveUnits,
    ReadHead,
    RetireUnits,
    SetLive,
    SwapHead,
    WriteRecords,
)
from memory.upkeep_calls import RelinkUnits
from tests.support.bank_owner import Owner
from tests.support.bank_state import check_bank, read_bank
from tests.support.builders import DIM, retain
from tests.support.deriving import Derive, Fact
from tests.support.engines import ENGINES
from tests.support.server_engine import ServerEngine
from tests.support.volatile_store import VolatileStore

TEXTS = st.lists(st.sampled_from(["one", "two", "three", "four", "five"]), min_size=1, max_size=5)
DOCUMENTS = st.sampled_from(["d", "e"])
FAILURES = st.none() | st.tuples(
    st.sampled_from([InsertUnits, WriteRecords, SwapHead, SetLive, FindLive, MoveUnits, RelinkUnits, RetireUnits]),
    st.sampled_from(["before", "after"]),
    st.integers(1, 3),
)


class BankMachine(RuleBasedStateMachine):
    """A command that fails is sent again under its operation id until it is acknowledged, as clients do."""

    engine: object

    @initialize()
    def start(self):
        self.owner = Owner(self.engine)
        self.documents: dict[str, list[str]] = {}
        self.profile: dict[str, int] = {}
        self.derived: dict[str, set[str]] = {}
        self.number = 0

    def perform(self, command: Command, failure) -> bool:
        """Whether it was done (else there was nothing to do it to)."""
        if failure is not None:
            kind, when, nth = failure
            self.owner.engine.arm(kind, when, Unavailable("store is restarting"), nth=nth)
        for _ in range(5):
            try:
                asyncio.run(self.owner.bank.perform(command))
            except (Unavailable, StaleEpoch):
                continue
            except NotFound:
                return False
            finally:
                self.owner.engine.disarm()
            return True
        raise AssertionError("not acknowledged after five attempts")

    def operation(self) -> str:
        self.number += 1
        return f"op-{self.number}"

    @rule(document=DOCUMENTS, texts=TEXTS, mode=st.sampled_from(["replace", "append"]), failure=FAILURES)
    def retain(self, document, texts, mode, failure):
        messages = tuple(Message(text, role="user") for text in texts)
        self.perform(retain(messages, op=self.operation(), document_id=document, update_mode=mode), failure)
        before = self.documents.get(document, []) if mode == "append" else []
        self.documents[document] = [*before, *texts]

    @rule(document=DOCUMENTS, failure=FAILURES)
    def delete_document(self, document, failure):
        done = self.perform(DeleteDocument(self.operation(), document), failure)
        assert done == (document in self.documents)
        self.documents.pop(document, None)

    @rule(texts=TEXTS, failure=FAILURES, number=st.integers(0, 3))
    def derive(self, texts, failure, number):
        """From chunks, and from what was derived before."""
        facts = tuple(Fact(f"{text} {number}", (text, *texts), links=texts[:1]) for text in texts)
        more = tuple(Fact(f"{fact.text} again", (fact.text,), superseded_by=facts[0].text) for fact in facts)
        if self.owner.read(ReadHead()) is not None and self.documents:
            self.perform(Derive(self.operation(), facts + more), failure)
            self.derived = {unit.id: {one.unit_id for one in unit.sources} for unit in self.units(UnitKind.FACT)}

    def units(self, kind):
        return [unit for unit in self.owner.read(ListUnits(1000)).units if unit.kind is kind]

    @rule(key=st.sampled_from("ab"), value=st.integers(0, 3), failure=FAILURES)
    def update(self, key, value, failure):
        self.perform(UpdateBank(self.operation(), {key: value}), failure)
        self.profile[key] = value

    @rule(failure=FAILURES)
    def delete_bank(self, failure):
        self.perform(DeleteBank(self.operation()), failure)
        self.documents, self.profile = {}, {}

    @rule()
    def change_owner(self):
        self.owner.bank = self.owner.another(f"owner-{self.operation()}")

    @rule()
    def flush(self):
        if isinstance(self.engine, VolatileStore):
            self.engine.flush()

    @rule()
    def lose_what_was_not_flushed(self):
        """Units alone; their texts are in the records as long as that can happen."""
        if isinstance(self.engine, VolatileStore):
            self.engine.lose_units(self.owner.scope)
            asyncio.run(self.owner.bank.settle())

    @invariant()
    def the_bank_is_what_was_acknowledged(self):
        if not hasattr(self, "owner") or self.owner.read(ReadHead()) is None:
            return
        found = read_bank(self.owner.engine, self.owner.scope)
        assert found.texts == {name: "\n".join(texts) for name, texts in self.documents.items()}
        assert dict(found.profile) == self.profile
        live = Counter(unit.text for unit in self.units(UnitKind.CHUNK))
        assert live == Counter(text for texts in self.documents.values() for text in texts)
        there = {unit.id for unit in self.units(UnitKind.CHUNK)}
        kept = dict(self.derived)
        while gone := {unit for unit, cited in kept.items() if not cited <= there | set(kept)}:
            kept = {unit: cited for unit, cited in kept.items() if unit not in gone}
        assert {unit.id for unit in self.units(UnitKind.FACT)} == set(kept), "what has all its sources stays, no more"
        self.derived = kept
        check_bank(self.owner.engine, self.owner.scope)


@pytest.fixture
def volatile() -> VolatileStore:
    return VolatileStore(DIM)


@pytest.mark.parametrize("engine", [*ENGINES, "volatile"], indirect=True)
def test_any_sequence_of_commands_failures_and_owners_leaves_what_was_acknowledged(engine):
    machine = type("Machine", (BankMachine,), {"engine": engine})
    examples = 10 if isinstance(engine, ServerEngine) else 40  # it scans all it holds
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=20, deadline=None))
