"""What an audit finds in a bank as a whole, what a repair of several things does, and that sound banks are clean."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory import audit as auditing
from memory.audit import AuditBank
from memory.audit_calls import ScanUnits
from memory.breaches import BreachKind as K
from memory.commands import DeleteBank, DeleteDocument, Item, RepairBank, Retain, UpdateBank
from memory.errors import NotFound, StoreDamaged, Unprocessable
from memory.filters import AnyOf
from memory.records import RecordKind
from memory.store_calls import GetDense, GetRecords, ListUnits, ReadHead
from storage.run import run
from tests.support.bank_process import BankProcess, perform_all
from tests.support.bank_state import check_bank
from tests.support.builders import DIM, dense, fresh_scope
from tests.support.planting import HISTORY, NOT_A_NUMBER, Vandal, audit, own, repair, turns
from tests.support.strategies import SENTENCE

EARLIER = datetime(2020, 1, 1, tzinfo=UTC)
DOCUMENT = RecordKind.DOCUMENT


def head(vandal: Vandal):
    return vandal.engine.call(vandal.scope, ReadHead())


def commit_and_die(vandal: Vandal, command) -> None:
    """An owner commits and is never heard of again."""
    before = head(vandal).commit
    with BankProcess(vandal.scope, "p", [command]) as process:
        while head(vandal).commit == before:
            process.step(vandal.engine)


def test_a_chunk_listed_twice_and_positions_that_do_not_increase(vandal):
    """In a document whose list was doubled, both are true."""
    vandal.body(DOCUMENT, "e", lambda body: body["chunks"].append(body["chunks"][0]))
    kinds = [breach.kind for breach in audit(vandal.engine, vandal.scope)]
    assert kinds.count(K.CHUNK_TWICE) == kinds.count(K.DOCUMENT_ORDER) == 1
    vandal.body(DOCUMENT, "d", lambda body: [chunk.__setitem__(3, 7) for chunk in body["chunks"]])
    assert [breach.kind for breach in audit(vandal.engine, vandal.scope)].count(K.DOCUMENT_ORDER) == 2


def test_a_circle_of_supersessions_is_found_once(vandal):
    until = "2026-01-01T00:00:00.000000Z"
    vandal.unit("one", superseded_by=vandal.id("two"), valid_to=until)
    vandal.unit("two", superseded_by=vandal.id("three"), valid_to=until)
    assert audit(vandal.engine, vandal.scope) == []
    vandal.unit("three", superseded_by=vandal.id("two"), valid_to=until)
    (breach,) = audit(vandal.engine, vandal.scope)
    assert (breach.kind, breach.where) == (K.SLOT, min(vandal.id("two"), vandal.id("three")))


def test_a_deleted_bank_owns_nothing(vandal):
    edge, scope = vandal.engine, vandal.scope
    perform_all(edge, scope, [DeleteBank("h5")], "h5")
    assert audit(edge, scope) == []
    vandal.add_unit("x", **own("x"))
    vandal.record(DOCUMENT, "e", status="live", body='{"text": "secret"}')
    found = audit(edge, scope)
    assert [(breach.kind, breach.repairable) for breach in found] == [(K.TOMBSTONE, True)] * 2
    repair(edge, scope)
    assert audit(edge, scope) == []
    assert head(vandal).deleted, "a repair does not bring a bank back"


def test_an_unsettled_commit_is_one_breach_and_a_repair_applies_it(vandal):
    edge, scope = vandal.engine, vandal.scope
    commit_and_die(vandal, Retain("h5", (Item(turns("three", "new"), "d"),)))
    (breach,) = audit(edge, scope)
    assert (breach.kind, breach.repairable) == (K.UNSETTLED, True)
    repair(edge, scope)
    assert audit(edge, scope) == []
    assert set(Vandal(edge, scope).units) == {"three", "new", "other"}


def test_a_commit_whose_plan_is_gone_cannot_be_repaired(vandal):
    edge, scope = vandal.engine, vandal.scope
    commit_and_die(vandal, Retain("h5", (Item(turns("new"), "d"),)))
    vandal.drop_record(RecordKind.COMMIT, dict(head(vandal).commits)[head(vandal).commit])
    found = {breach.kind: breach.repairable for breach in audit(edge, scope)}
    assert found == {K.COMMIT_MISSING: False, K.UNSETTLED: True}
    with pytest.raises(StoreDamaged, match="not stored"):
        repair(edge, scope)


def test_all_that_can_be_mended_is_mended_at_once(vandal):
    """In one bank, with many kinds of damage."""
    edge, scope = vandal.engine, vandal.scope
    vandal.add_unit("orphan", **own("orphan"))
    vandal.add_unit("pending", state="pending")
    vandal.vector("one", NOT_A_NUMBER)
    vandal.unit("two", tenant="other")
    vandal.unit("three", state="pending")
    vandal.unit("other", position=-99, epoch=44)
    vandal.body(DOCUMENT, "d", lambda body: body.update(content_hash="0"))
    vandal.head(counters={"units": 1})
    vandal.drop_record(RecordKind.RECALL_PROFILE, "recall")
    assert len(audit(edge, scope)) == 10
    receipt = repair(edge, scope)
    assert (receipt.retired, receipt.remade, receipt.revived) == (1, 2, 1)
    assert audit(edge, scope) == []
    one = vandal.id("one")
    assert edge.call(scope, GetDense((one,)))[one] == pytest.approx(dense("one"), abs=1e-6)


def test_a_crash_at_any_call_of_a_repair_is_recovered_from(edge):
    def broken() -> Vandal:
        scope = fresh_scope()
        perform_all(edge, scope, HISTORY, "h")
        vandal = Vandal(edge, scope)
        vandal.vector("one", NOT_A_NUMBER)
        vandal.unit("two", tenant="other")
        vandal.add_unit("orphan", **own("orphan"))
        vandal.head(counters={"units": 1})
        return vandal

    def steps(vandal: Vandal, most: int) -> int:
        with BankProcess(vandal.scope, "p", [RepairBank("r")]) as process:
            done = 0
            while done < most and process.step(edge):
                done += 1
            return done

    total = steps(broken(), 1000)
    for calls in range(total + 1):
        vandal = broken()
        steps(vandal, calls)
        repair(edge, vandal.scope)
        check_bank(edge, vandal.scope)
        assert set(vandal.units) == set(Vandal(edge, vandal.scope).units), f"after call {calls} of {total}"


# -- sound banks

TEXTS = st.lists(st.sampled_from(["one", "two", "ünï", "a: b", " "]) | SENTENCE, min_size=1, max_size=4)
ITEMS = st.builds(
    Item,
    content=TEXTS.map(lambda texts: turns(*texts)) | SENTENCE,
    document_id=st.sampled_from(["d", "e"]),
    timestamp=st.none() | st.just(EARLIER),
    timeless=st.booleans(),
    context=st.none() | SENTENCE,
    metadata=st.dictionaries(st.sampled_from(["k", "speaker", "role"]), st.sampled_from(["x", "tool"])),
    tags=st.lists(st.sampled_from("xyz"), max_size=2).map(tuple),
    entities=st.just(()) | st.just((("Ann", "person"),)),
)
COMMANDS = st.one_of(
    st.lists(ITEMS, min_size=1, max_size=3).map(lambda items: Retain("", tuple(items))),
    ITEMS.map(lambda item: Retain("", (replace(item, update_mode="append"),))),
    st.sampled_from("de").map(lambda document: DeleteDocument("", document)),
    st.just(DeleteBank("")),
    st.just(UpdateBank("", {"mission": "m"})),
    st.just(RepairBank("")),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(COMMANDS, min_size=1, max_size=6))
def test_whatever_commands_leave_is_clean(edge, commands):
    scope = fresh_scope()
    for number, command in enumerate(commands):
        with suppress(NotFound, Unprocessable):
            perform_all(edge, scope, [replace(command, operation_id=f"op-{number}")], f"o{number}")
    assert edge.call(scope, ReadHead()) is None or audit(edge, scope) == []


@pytest.mark.parametrize("page", [1, 2, 3, 7])
def test_pages_make_no_difference(vandal, monkeypatch, page):
    vandal.add_unit("orphan", **own("orphan"))
    vandal.vector("one", NOT_A_NUMBER)
    whole = run(vandal.engine, vandal.scope, AuditBank(vandal.scope, "all", DIM))
    monkeypatch.setattr(auditing, "PAGE_POINTS", page)
    assert run(vandal.engine, vandal.scope, AuditBank(vandal.scope, "all", DIM)) == whole


@pytest.mark.parametrize(("vectors", "looked_at"), [("all", 6), ("sample", 6), ("none", 0)])
def test_vectors_are_read_as_asked(vandal, vectors, looked_at):
    """A sample has all of the first page."""
    assert run(vandal.engine, vandal.scope, AuditBank(vandal.scope, vectors)).vectors == looked_at


def test_a_sample_is_one_vector_in_sixteen_after_the_first_page(vandal, monkeypatch):
    monkeypatch.setattr(auditing, "PAGE_POINTS", 1)
    ids = [point for point, _ in vandal.engine.call(vandal.scope, ScanUnits(None, 100)).points]
    expected = 1 + sum(point.endswith("0") for point in ids[1:])
    assert run(vandal.engine, vandal.scope, AuditBank(vandal.scope, "sample")).vectors == expected


def test_a_vector_of_another_length_is_found(vandal):
    breaches = run(vandal.engine, vandal.scope, AuditBank(vandal.scope, "all", DIM + 1)).breaches
    assert {breach.kind for breach in breaches} == {K.VECTOR}
    assert "32 numbers instead of 33" in breaches[0].what


def test_a_head_that_moves_meanwhile_is_told(vandal):
    asked = []

    class Meddling:
        """Another owner writes between two calls."""

        def call(self, scope, call):
            asked.append(call)
            if len(asked) == 3:
                perform_all(vandal.engine, scope, [UpdateBank("h5", {})], "other")
            return vandal.engine.call(scope, call)

    assert run(Meddling(), vandal.scope, AuditBank(vandal.scope)).moved
    assert not run(vandal.engine, vandal.scope, AuditBank(vandal.scope)).moved


# -- documents whose record is lost


@pytest.mark.parametrize(
    "item",
    [
        Item(turns("one", "two", "two"), "x", timestamp=EARLIER, tags=("a", "b"), metadata={"k": "v"}, context="c"),
        Item(turns("one"), "x", timeless=True, entities=(("Ann", None),)),
        Item("# Title\n\nA paragraph about apples.\n\nAnother one about boats.", "x"),
    ],
    ids=["messages", "timeless", "text"],
)
def test_a_document_without_its_record_is_rebuilt_as_it_was(vandal, item):
    edge, scope = vandal.engine, vandal.scope
    perform_all(edge, scope, [Retain("x1", (replace(item, content=turns("first")),))], "x1")
    perform_all(edge, scope, [Retain("x2", (item,))], "x2")
    before = edge.call(scope, GetRecords(DOCUMENT, ("x",)))["x"]
    counters = head(vandal).counters
    vandal.drop_record(DOCUMENT, "x")
    assert [breach.kind for breach in audit(edge, scope)] == [K.DOCUMENT_MISSING]
    repair(edge, scope)
    after = edge.call(scope, GetRecords(DOCUMENT, ("x",)))["x"]
    assert dict(after.body) == dict(before.body)
    assert (after.order, after.status) == (before.order, before.status)
    assert head(vandal).counters == counters
    check_bank(edge, scope)


def test_a_document_that_cannot_be_had_exactly_is_named_and_left(vandal):
    edge, scope = vandal.engine, vandal.scope
    text = "One line.\n\n\n\nAnother line after much room.\n" * 40
    perform_all(edge, scope, [Retain("x1", (Item(text, "x"),))], "x1")
    chunks = edge.call(scope, ListUnits(100, where=AnyOf("document_id", ("x",)))).units
    assert len(chunks) > 1
    vandal.drop_record(DOCUMENT, "x")
    repair(edge, scope)
    left = audit(edge, scope)
    assert {breach.where for breach in left if breach.kind is K.ORPHAN} == {unit.id for unit in chunks}
    assert any(breach.kind is K.OPERATION and "'x'" in breach.what for breach in left)


def test_a_document_that_lost_its_record_and_a_chunk_is_named_and_left(vandal):
    vandal.drop_record(DOCUMENT, "d")
    vandal.drop_unit("two")
    kinds = {breach.kind for breach in audit(vandal.engine, vandal.scope)}
    assert K.DOCUMENT_MISSING not in kinds
    assert K.ORPHAN in kinds


def test_an_orphan_of_a_document_whose_removed_record_was_swept_is_swept_too(vandal):
    vandal.drop_record(DOCUMENT, "f")
    assert audit(vandal.engine, vandal.scope) == []
    vandal.add_unit("late", document_id="f", **own("late"))
    (breach,) = audit(vandal.engine, vandal.scope)
    assert (breach.kind, breach.repairable) == (K.ORPHAN, True)
    repair(vandal.engine, vandal.scope)
    assert audit(vandal.engine, vandal.scope) == []
