from collections import Counter
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.commands import DeleteBank, DeleteDocument, DocumentReceipt, Item, Message, Retain, UpdateBank
from memory.drafting import draft_documents
from memory.encoding import decode_document, decode_recall_profile
from memory.ids import Scope
from memory.ingest import (
    RECALL_PROFILE_KEY,
    BankView,
    Embedded,
    plan_delete_bank,
    plan_delete_document,
    plan_retain,
    plan_update_bank,
    unit_dense_text,
)
from memory.merging import Merge, merge_document
from memory.plans import Plan
from memory.protocol import SEQ_BLOCK
from memory.receipts import delete_receipt_of_operation, receipt_of_operation
from memory.records import Document, Head, RecallProfile, RecordKind, Unit
from tests.support.builders import retain
from tests.support.clocks import FakeClock

SCOPE = Scope("t", "b")


class PureBank:
    """Plans applied to dictionaries: what a bank holds when nothing ever fails."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.head = Head(epoch=1, seq_end=SEQ_BLOCK)
        self.profile = RecallProfile()
        self.documents: dict[str, Document] = {}
        self.units: dict[str, Unit] = {}
        self.bodies: dict[tuple[RecordKind, str], dict] = {}

    @property
    def view(self) -> BankView:
        return BankView(SCOPE, self.head, self.profile)

    def merges(self, command: Retain) -> list[Merge]:
        drafts = draft_documents(SCOPE, command, self.clock.now())
        return [merge_document(SCOPE, self.documents.get(draft.id), draft) for draft in drafts]

    def retain(self, command: Retain):
        merges = self.merges(command)
        embedded = {
            chunk.content_hash: Embedded(np.eye(1, 4, len(chunk.text) % 4, dtype=np.float32)[0], len(chunk.text))
            for merge in merges
            for _, chunk in merge.new
        }
        plan, receipt = plan_retain(self.view, command, merges, embedded, self.clock.now())
        self.apply(plan)
        return merges, plan, receipt

    def apply(self, plan: Plan) -> None:
        assert plan.seq > self.head.seq
        assert plan.head_after.seq == plan.seq < plan.head_after.seq_end
        if plan.clear:
            self.units, self.documents, self.bodies, self.profile = {}, {}, {}, RecallProfile()
        for new in plan.add:
            assert new.unit.id not in self.units, "an unchanged chunk is written again"
            assert new.unit.seq == plan.seq
            self.units[new.unit.id] = new.unit
        for unit, at in plan.moves.items():
            self.units[unit] = replace(self.units[unit], position=at)
        for unit in plan.retire:
            del self.units[unit]
        for record in plan.records:
            body = orjson.loads(orjson.dumps(dict(record.body)))
            self.bodies[record.kind, record.key] = body
            if record.kind is RecordKind.DOCUMENT:
                self.documents[record.key] = decode_document(record.key, body)
            if record.kind is RecordKind.RECALL_PROFILE:
                self.profile = decode_recall_profile(body)
        for kind, key in plan.remove:
            assert kind is RecordKind.DOCUMENT
            del self.documents[key]
        self.head = plan.head_after

    def text(self, document_id: str) -> str:
        document = self.documents[document_id]
        return "".join(e.separator + self.units[e.unit_id].text for e in document.chunks) + document.tail

    def check(self) -> None:
        """What the head and the profile count is what a recount finds; documents and units name each other."""
        live = Counter({"units": len(self.units), "documents": len(self.documents)})
        live.update(f"type:{unit.type.value}" for unit in self.units.values())
        assert self.head.counters == {name: count for name, count in live.items() if count}
        assert self.profile.speakers == Counter(u.speaker for u in self.units.values() if u.speaker)
        named = [entry.unit_id for document in self.documents.values() for entry in document.chunks]
        assert sorted(named) == sorted(self.units)
        for document in self.documents.values():
            places = [self.units[entry.unit_id].position for entry in document.chunks]
            assert places == sorted(set(places))
            assert places == [entry.position for entry in document.chunks]
            assert {self.units[entry.unit_id].document_id for entry in document.chunks} == {document.id}
            assert document.text_bytes == len(self.text(document.id).encode())


LINE = st.sampled_from(["alpha", "beta", "gamma", "delta", " spaced ", "", "x" * 950, "Ann: hi", "Bob: yes", "Ann: so"])
PASSAGES = st.lists(LINE, min_size=1, max_size=5).map("\n\n".join)
MESSAGE = st.builds(
    Message, content=LINE, role=st.sampled_from(["user", "assistant", None]), name=st.sampled_from(["Ann", "Bob", None])
)
CONTENT = PASSAGES | st.lists(MESSAGE, min_size=1, max_size=4).map(tuple)
STEP = st.tuples(
    st.sampled_from(["replace", "append"]),
    st.lists(CONTENT, min_size=1, max_size=3).filter(lambda contents: any(turn.strip() for turn in turns(contents))),
    st.sampled_from([(), ("x",), ("y", "x")]),
)


def turns(contents) -> list[str]:
    return [turn for c in contents for turn in ([c] if isinstance(c, str) else [m.content for m in c])]


@given(st.lists(st.tuples(st.sampled_from("de"), STEP), min_size=1, max_size=6))
def test_any_sequence_of_retains_keeps_text_counters_and_profile_right(steps):
    bank = PureBank()
    expected: dict[str, str] = {}
    for number, (document_id, (mode, contents, tags)) in enumerate(steps):
        before = bank.documents.get(document_id)
        command = retain(*contents, op=f"op-{number}", document_id=document_id, update_mode=mode, tags=tags)
        (merge,), plan, receipt = bank.retain(command)
        said = "\n".join(turns(contents))
        appended = mode == "append" and document_id in expected
        expected[document_id] = f"{expected[document_id]}\n{said}" if appended else said
        assert {name: bank.text(name) for name in expected} == expected
        bank.check()
        (done,) = receipt.documents
        assert done.added + done.kept == len(merge.entries)
        assert done.added == len(plan.add)
        assert done.retired == len(plan.retire)
        assert done.version == (before.version + 1 if before else 1)
        old = {entry.unit_id for entry in before.chunks} if before else set()
        assert old.isdisjoint(new.unit.id for new in plan.add)
        assert set(plan.retire) <= old
        assert set(plan.moves) <= old - set(plan.retire)


@given(STEP, STEP)
def test_retaining_the_same_again_adds_and_retires_nothing(first, second):
    bank = PureBank()
    for number, (_, contents, tags) in enumerate((first, second, second)):
        merges, plan, receipt = bank.retain(retain(*contents, op=f"op-{number}", tags=tags))
    assert (plan.add, plan.retire, dict(plan.moves)) == ((), (), {})
    assert receipt.documents == (DocumentReceipt("d", 3, 3, 0, len(merges[0].entries), 0),)
    assert receipt.tokens == 0
    assert not [record for record in plan.records if record.kind is RecordKind.RECALL_PROFILE]


@given(STEP, STEP)
def test_there_and_back_gives_the_same_units_again(first, second):
    bank = PureBank()
    ids = []
    for number, (_, contents, tags) in enumerate((first, second, first)):
        bank.retain(retain(*contents, op=f"op-{number}", tags=tags))
        ids.append([entry.unit_id for entry in bank.documents["d"].chunks])
    assert ids[0] == ids[2]


def test_one_changed_paragraph_of_many_is_the_only_one_added_and_retired():
    paragraphs = [f"Paragraph {n}: " + "words " * 50 for n in range(30)]
    bank = PureBank()
    bank.retain(retain("\n\n".join(paragraphs)))
    paragraphs[10] = "Changed: " + "words " * 50
    _, plan, receipt = bank.retain(retain("\n\n".join(paragraphs), op="op-2"))
    assert (len(plan.add), len(plan.retire), len(plan.moves)) == (1, 1, 0)
    assert receipt.documents[0].kept == 29
    bank.check()


def test_moving_a_chunk_moves_it_and_writes_nothing_new():
    bank = PureBank()
    bank.retain(retain(*[f"turn {n}" for n in range(6)], metadata={"role": "user"}))
    _, plan, _ = bank.retain(retain(*[f"turn {n}" for n in (5, 0, 1, 2, 3, 4)], op="op-2", metadata={"role": "user"}))
    assert (plan.add, plan.retire, len(plan.moves)) == ((), (), 1)
    bank.check()
    assert bank.text("d").startswith("turn 5\nturn 0")


def test_equal_chunks_are_units_of_their_own_and_the_last_ones_go_first():
    bank = PureBank()
    bank.retain(retain("yes", "yes", "yes", metadata={"role": "user"}))
    assert len(bank.units) == 3
    first = bank.documents["d"].chunks[0].unit_id
    _, plan, _ = bank.retain(retain("yes", op="op-2", metadata={"role": "user"}))
    assert len(plan.retire) == 2
    assert list(bank.units) == [first]


def test_appending_to_nothing_makes_the_document():
    bank = PureBank()
    _, _, receipt = bank.retain(retain("first", update_mode="append"))
    assert receipt.documents == (DocumentReceipt("d", 1, 1, 1, 0, 0),)
    assert bank.text("d") == "first"


def test_an_append_keeps_metadata_and_context_of_the_document_and_joins_tags():
    bank = PureBank()
    bank.retain(retain("a", metadata={"k": "v"}, context="c", tags=("x",)))
    bank.retain(retain("b", op="op-2", metadata={"k": "w"}, context="d", tags=("y", "x"), update_mode="append"))
    document = bank.documents["d"]
    assert (document.metadata, document.context, document.tags) == ({"k": "v"}, "c", ("x", "y"))
    assert document.created_at < document.updated_at


def test_each_document_of_a_request_takes_a_seq_and_units_the_highest():
    bank = PureBank()
    _, plan, receipt = bank.retain(Retain("op", tuple(Item(f"text {n}", f"d{n}") for n in range(4))))
    assert [d.seq for d in receipt.documents] == [1, 2, 3, 4]
    assert plan.seq == receipt.seq == 4
    assert {new.unit.seq for new in plan.add} == {4}


def test_a_request_of_more_documents_than_a_block_has_seqs_reserves_a_new_block():
    bank = PureBank()
    bank.retain(Retain("op", tuple(Item(f"text {n}", f"d{n}") for n in range(SEQ_BLOCK + 5))))
    assert bank.head.seq == SEQ_BLOCK + 5
    assert bank.head.seq_end == 2 * SEQ_BLOCK + 5


def test_a_retain_creates_the_bank_and_later_ones_leave_its_birthday():
    bank = PureBank()
    bank.retain(retain("a"))
    born = bank.head.created_at
    bank.retain(retain("b", op="op-2"))
    assert bank.head.exists
    assert bank.head.created_at == born
    assert bank.head.updated_at > born


def test_deleting_a_document_takes_its_units_and_what_is_counted():
    bank = PureBank()
    bank.retain(retain((Message("hi", role="user", name="Ann"), Message("ho", role="assistant")), document_id="a"))
    bank.retain(retain((Message("hi", role="user", name="Ann"),), op="op-2", document_id="b"))
    plan, receipt = plan_delete_document(bank.view, DeleteDocument("del", "a"), bank.documents["a"], bank.clock.now())
    bank.apply(plan)
    bank.check()
    assert set(bank.documents) == {"b"}
    assert bank.profile.speakers == {"Ann": 1}
    assert (receipt.units_deleted, receipt.documents_deleted) == (2, 1)
    assert delete_receipt_of_operation("del", bank.bodies[RecordKind.OPERATION, "del"]) == receipt


def test_deleting_the_bank_leaves_a_tombstone_whose_seq_goes_on():
    bank = PureBank()
    bank.retain(retain("a"))
    bank.apply(plan_update_bank(bank.view, UpdateBank("u", {"mission": "m"}), bank.clock.now()))
    plan, receipt = plan_delete_bank(bank.view, DeleteBank("del"), bank.clock.now())
    bank.apply(plan)
    head = bank.head
    assert (head.exists, head.deleted, head.counters, head.profile, head.seq) == (False, True, {}, {}, 3)
    assert (receipt.units_deleted, receipt.documents_deleted) == (1, 1)
    bank.retain(retain("again", op="op-2"))
    bank.check()
    assert (bank.head.exists, bank.head.deleted, bank.head.seq) == (True, False, 4)


def test_updating_a_bank_changes_the_keys_given_and_creates_it():
    bank = PureBank()
    bank.apply(plan_update_bank(bank.view, UpdateBank("u", {"a": 1, "b": 2}), bank.clock.now()))
    assert bank.head.exists
    bank.apply(plan_update_bank(bank.view, UpdateBank("v", {"b": 3, "c": None}), bank.clock.now()))
    assert bank.head.profile == {"a": 1, "b": 3, "c": None}


def test_the_receipt_of_a_retain_can_be_given_again_from_its_operation():
    bank = PureBank()
    _, _, receipt = bank.retain(retain("a", "b"))
    again = receipt_of_operation("op", bank.bodies[RecordKind.OPERATION, "op"])
    assert again == replace(receipt, replayed=True)


def test_units_carry_everything_the_caller_gave():
    bank = PureBank()
    message = Message("Tea, please.", role="user", name="Ann", metadata={"m": "1"})
    bank.retain(retain((message,), tags=("x",), metadata={"k": "v"}, context="at home", entities=(("Tea", "drink"),)))
    (unit,) = bank.units.values()
    assert (unit.speaker, unit.role, unit.context, unit.tags) == ("Ann", "user", "at home", ("x",))
    assert (unit.metadata, unit.entities) == ({"k": "v", "m": "1"}, ("Tea",))
    assert (unit.born_version, unit.seq, unit.epoch, unit.document_id) == (1, 1, 1, "d")
    assert unit_dense_text(unit) == "Tea, please."


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_the_document_record_names_what_was_kept(mode: str):
    bank = PureBank()
    bank.retain(retain("one", "two"))
    bank.retain(retain("two", op="op-2", update_mode=mode))
    assert RECALL_PROFILE_KEY == "recall"
    assert [e.item for e in bank.documents["d"].chunks] == ([0] if mode == "replace" else [0, 1, 0])
    bank.check()
