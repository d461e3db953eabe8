"""Each kind of damage, planted in a real store, is found once and by its name; what can be mended is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from memory.breaches import BreachKind
from memory.drafting import content_hash
from memory.errors import StaleEpoch, StoreDamaged
from memory.records import RecordKind
from memory.store_calls import FindLive, ReadHead
from memory.sweeping import HISTORY_COMMITS
from tests.support.planting import NOT_A_NUMBER, ZERO, Vandal, audit, own, repair

DOCUMENT, OPERATION = RecordKind.DOCUMENT, RecordKind.OPERATION


@dataclass(frozen=True)
class Case:
    plant: Callable[[Vandal], object]
    kind: BreachKind
    where: str
    mended: bool


K = BreachKind
CASES = {
    "a pending leftover": Case(lambda v: v.add_unit("x", state="pending"), K.PENDING, "", True),
    "a retired leftover": Case(lambda v: v.add_unit("x", state="retired"), K.RETIRED, "", True),
    "a unit its document does not list": Case(lambda v: v.add_unit("x", **own("x")), K.ORPHAN, "", True),
    "a unit of a removed document": Case(
        lambda v: v.add_unit("x", document_id="f", **own("x")), K.ORPHAN, "", True
    ),
    "a unit whose document has no record": Case(
        lambda v: v.add_unit("x", document_id="never", **own("x")), K.ORPHAN, "", False
    ),
    "a unit id of another bucket": Case(
        lambda v: v.add_unit("x", id_=v.foreign_id("x"), **own("x")), K.ID, "", False
    ),
    "a unit that says another tenant": Case(lambda v: v.unit("two", tenant="other"), K.OWNER, "two", True),
    "a unit that says another bank": Case(lambda v: v.unit("two", bank="other"), K.OWNER, "two", True),
    "a unit without a seq": Case(lambda v: v.unit("two", seq="x"), K.UNREADABLE, "two", False),
    "a unit without a type": Case(lambda v: v.remove_unit_keys("two", "type"), K.UNREADABLE, "two", False),
    "a changed text": Case(lambda v: v.unit("two", text="2"), K.UNIT_TEXT, "two", False),
    "a unit's seq above the head's": Case(lambda v: v.unit("two", seq=1 << 40), K.SEQ, "two", True),
    "a unit's epoch above the head's": Case(lambda v: v.unit("two", epoch=77), K.EPOCH, "two", True),
    "a vector that is not finite": Case(lambda v: v.vector("two", NOT_A_NUMBER), K.VECTOR, "two", True),
    "a vector of no length": Case(lambda v: v.vector("two", ZERO), K.VECTOR, "two", True),
    "a unit without a vector": Case(lambda v: v.drop_vector("two"), K.VECTOR, "two", True),
    "a keyword vector of another text": Case(lambda v: v.words("two", 1, 2), K.VECTOR, "two", True),
    "a keyword vector without words": Case(lambda v: v.words("two"), K.VECTOR, "two", True),
    "a unit without a keyword vector": Case(lambda v: v.drop_words("two"), K.VECTOR, "two", True),
    "a link to nowhere": Case(
        lambda v: v.unit("two", links=[{"to": v.foreign_id("x"), "type": "causes", "weight": 1.0}]),
        K.REFERENCE, "two", False,
    ),
    "a source that is not there": Case(
        lambda v: v.unit("two", sources=[{"unit_id": v.foreign_id("x"), "seq": 1, "content_hash": "h"}]),
        K.REFERENCE, "two", False,
    ),
    "superseded without an end": Case(lambda v: v.unit("two", superseded_by=v.id("three")), K.SLOT, "two", False),
    "superseded by what is not there": Case(
        lambda v: v.unit("two", superseded_by=v.foreign_id("x"), valid_to="2026-01-01T00:00:00.000000Z"),
        K.SLOT, "two", False,
    ),
    "an end before the beginning": Case(
        lambda v: v.unit("two", valid_from="2026-01-02T00:00:00.000000Z", valid_to="2026-01-01T00:00:00.000000Z"),
        K.SLOT, "two", False,
    ),
    "a chunk that is gone": Case(lambda v: v.drop_unit("two"), K.CHUNK_MISSING, "two", False),
    "a chunk that is pending": Case(lambda v: v.unit("two", state="pending"), K.CHUNK_NOT_LIVE, "two", True),
    "a chunk that is retired": Case(lambda v: v.unit("two", state="retired"), K.CHUNK_NOT_LIVE, "two", True),
    "a chunk whose speaker differs": Case(lambda v: v.unit("two", speaker="Zoe"), K.CHUNK_DIFFERS, "two", True),
    "a chunk whose type differs": Case(lambda v: v.unit("two", type="experience"), K.CHUNK_DIFFERS, "two", True),
    "a chunk whose document differs": Case(lambda v: v.unit("two", document_id="e"), K.CHUNK_DIFFERS, "two", True),
    "a chunk whose tags differ": Case(lambda v: v.unit("two", tags=["x"]), K.CHUNK_DIFFERS, "two", False),
    "a chunk whose text differs": Case(
        lambda v: v.unit("two", text="2", content_hash=content_hash("2", "Ann")), K.CHUNK_DIFFERS, "two", False
    ),
    "a chunk out of place": Case(lambda v: v.unit("two", position=-999), K.POSITION, "two", True),
    "a chunk from the future": Case(lambda v: v.unit("two", born_version=9), K.DOCUMENT_VERSION, "two", False),
    "a document without its record": Case(lambda v: v.drop_record(DOCUMENT, "d"), K.DOCUMENT_MISSING, "'d'", True),
    "a document's hash": Case(
        lambda v: v.body(DOCUMENT, "d", lambda b: b.update(content_hash="0")), K.DOCUMENT_HASH, "'d'", True
    ),
    "a document's size": Case(
        lambda v: v.body(DOCUMENT, "d", lambda b: b.update(text_bytes=1)), K.DOCUMENT_SIZE, "'d'", True
    ),
    "a document's seq": Case(
        lambda v: v.body(DOCUMENT, "d", lambda b: b.update(seq=1 << 30)), K.DOCUMENT_VERSION, "'d'", False
    ),
    "a document that cannot be read": Case(
        lambda v: v.body(DOCUMENT, "d", lambda b: b.pop("chunks")), K.UNREADABLE, "'d'", False
    ),
    "a record that is no JSON": Case(lambda v: v.record(DOCUMENT, "d", body="{"), K.UNREADABLE, "'d'", False),
    "a record that says another bank": Case(lambda v: v.record(DOCUMENT, "d", bank="other"), K.OWNER, "'d'", True),
    "a record under another id": Case(
        lambda v: v.add_record(OPERATION, "x", id_=v.foreign_id("x"), body='{"created_at": ""}'), K.ID, "'x'", False
    ),
    "a record's seq above the head's": Case(lambda v: v.record(DOCUMENT, "d", seq=1 << 40), K.SEQ, "'d'", True),
    "a record's epoch above the head's": Case(lambda v: v.record(DOCUMENT, "d", epoch=77), K.EPOCH, "'d'", True),
    "a removed record with its content": Case(
        lambda v: v.record(DOCUMENT, "f", body='{"text": "secret"}'), K.REMOVED, "'f'", True
    ),
    "counters": Case(lambda v: v.head(counters={"documents": 2, "units": 9}), K.COUNTERS, "head", True),
    "a recall profile": Case(
        lambda v: v.body(RecordKind.RECALL_PROFILE, "recall", lambda b: b.update(speakers={"Ann": 1})),
        K.RECALL_PROFILE, "profile", True,
    ),
    "no recall profile": Case(
        lambda v: v.drop_record(RecordKind.RECALL_PROFILE, "recall"), K.RECALL_PROFILE, "profile", True
    ),
    "a receipt of a version to come": Case(
        lambda v: v.body(OPERATION, "h2", lambda b: b["documents"][0].__setitem__(1, 7)), K.OPERATION, "'h2'", False
    ),
    "a receipt of an unknown document": Case(
        lambda v: v.body(OPERATION, "h2", lambda b: b["documents"][0].__setitem__(0, "z")), K.OPERATION, "'h2'", False
    ),
    "a receipt of a seq to come": Case(
        lambda v: v.body(OPERATION, "h2", lambda b: b.update(seq=1 << 30)), K.OPERATION, "'h2'", False
    ),
    "a head beside its body": Case(
        lambda v: v.record(RecordKind.HEAD, "head", seq=5), K.HEAD_KEYS, "head", True
    ),
    "a head no compare-and-set matches": Case(
        lambda v: v.record(RecordKind.HEAD, "head", epoch=55), K.HEAD_KEYS, "head", False
    ),
    "a head that says another bank": Case(
        lambda v: v.record(RecordKind.HEAD, "head", tenant="other"), K.OWNER, "head", True
    ),
    "a head that cannot be read": Case(
        lambda v: v.record(RecordKind.HEAD, "head", body="{}"), K.HEAD_UNREADABLE, "head", False
    ),
    "no head": Case(lambda v: v.drop_record(RecordKind.HEAD, "head"), K.NO_HEAD, "head", True),
    "a head that denies its bank": Case(
        lambda v: v.head(exists=False, counters={}), K.HEAD_EXISTS, "head", True
    ),
    "a head past its block of seqs": Case(lambda v: v.head(seq_end=1), K.SEQ_BLOCK, "head", True),
    "a removed record that nothing will sweep": Case(lambda v: v.head(due_at=None), K.DUE, "head", True),
    "a session part that cannot be read": Case(
        lambda v: v.add_record(RecordKind.SESSION_PART, "s"), K.UNREADABLE, "session part", False
    ),
    "a settled commit that is not stored": Case(
        lambda v: v.drop_record(RecordKind.COMMIT, last_commit(v)), K.COMMIT_MISSING, "head", True
    ),
    "a commit under another number": Case(
        lambda v: v.record(RecordKind.COMMIT, last_commit(v), order=77), K.COMMITS, "commit", True
    ),
    "an old commit's name": Case(
        lambda v: v.head(commits={**head(v).commits, 1: "x"}), K.COMMITS, "head", True
    ),
    "an answer that no work lists": Case(
        lambda v: v.add_record(RecordKind.WINDOW, "w", body='{"document_id": "d"}'), K.ANSWER, "window w", True
    ),
    "commits not trimmed": Case(
        lambda v: v.add_record(RecordKind.COMMIT, "old", order=-2 * HISTORY_COMMITS), K.HISTORY, "'old'", True
    ),
}  # fmt: skip


def head(vandal: Vandal) -> Any:
    return vandal.engine.call(vandal.scope, ReadHead())


def last_commit(vandal: Vandal) -> str:
    return dict(head(vandal).commits)[head(vandal).commit]


@pytest.mark.parametrize("name", CASES)
def test_planted_damage_is_found_once_by_its_name_and_mended_where_that_is_possible(vandal, name):
    case, edge, scope = CASES[name], vandal.engine, vandal.scope
    assert audit(edge, scope) == []
    case.plant(vandal)
    (breach,) = audit(edge, scope)
    place = vandal.id(case.where) if case.where in vandal.units else case.where
    assert (breach.kind, breach.bank, place in breach.where) == (case.kind, scope, True), breach
    assert breach.repairable == case.mended, breach
    if case.mended:
        repair(edge, scope)
        assert audit(edge, scope) == []
        assert set(vandal.units) <= {unit.text for unit in Vandal(edge, scope).units.values()}, "a text was lost"


def test_every_kind_that_a_bank_can_have_is_planted():
    elsewhere = {K.STRAY, K.UNSETTLED, K.TOMBSTONE, K.CHUNK_TWICE, K.DOCUMENT_ORDER, K.OBSERVATION}
    assert {case.kind for case in CASES.values()} | elsewhere == set(BreachKind)


NOBODY_CAN_OWN = {"a head no compare-and-set matches", "a head that cannot be read"}


@pytest.mark.parametrize("name", [name for name in CASES if not CASES[name].mended])
def test_a_repair_leaves_what_it_cannot_mend_as_it_was(vandal, name):
    """Nothing is made worse: the same breach, the same live units."""
    edge, scope = vandal.engine, vandal.scope
    CASES[name].plant(vandal)
    before, live = audit(edge, scope), edge.call(scope, FindLive(tuple(u.id for u in vandal.units.values())))
    if name in NOBODY_CAN_OWN:
        with pytest.raises((StoreDamaged, StaleEpoch)):
            repair(edge, scope)
    else:
        repair(edge, scope)
    assert [(breach.kind, breach.where) for breach in audit(edge, scope)] == [(b.kind, b.where) for b in before]
    assert edge.call(scope, FindLive(tuple(u.id for u in vandal.units.values()))) == live
