"""The reading calls, over every engine: complete, in order, and blind to other banks."""

import math

import numpy as np
import pytest

from memory.filters import AnyOf, HasId
from memory.ids import Scope
from memory.records import Embedding, Head, Record, RecordKind, UnitType
from memory.store_calls import (
    CompleteHits,
    CountValues,
    CreateHead,
    FindLive,
    GetDense,
    GetRecords,
    GetUnits,
    InsertUnits,
    Lane,
    ListRecords,
    ListUnits,
    ReadHead,
    SearchLanes,
    WriteRecords,
)
from memory.upkeep_calls import GetEmbeddings
from storage.bm25 import document_weights
from tests.support.builders import dense, fresh_scope, new_unit, put_live, put_texts

OPERATION = RecordKind.OPERATION


@pytest.fixture
def scope() -> Scope:
    return fresh_scope()


# -- isolation

READS = {
    "ReadHead": lambda ids: ReadHead(),
    "GetRecords": lambda ids: GetRecords(OPERATION, ("k", "shared")),
    "ListRecords": lambda ids: ListRecords(OPERATION, 10),
    "GetUnits": GetUnits,
    "GetDense": GetDense,
    "GetEmbeddings": GetEmbeddings,
    "FindLive": FindLive,
    "ListUnits": lambda ids: ListUnits(10),
    "ListUnits by id": lambda ids: ListUnits(10, where=HasId(ids)),
    "CountValues": lambda ids: CountValues("tags", 10),
    "CountValues by id": lambda ids: CountValues("tags", 10, HasId(ids)),
    "SearchLanes": lambda ids: SearchLanes((Lane(10, dense=dense("red apple")), Lane(10, lexical="red apple"))),
    "SearchLanes by id": lambda ids: SearchLanes(
        (Lane(10, dense=dense("red apple")), Lane(10, lexical="red apple")), HasId(ids)
    ),
    "CompleteHits": lambda ids: CompleteHits(
        dict.fromkeys(ids, 1.0), dict.fromkeys(ids, 1.0), dense("red apple"), "red apple", ids, ids, with_tokens=True
    ),
}


def plain(answer):
    """An answer in a form that can be compared."""
    if isinstance(answer, dict):
        return {key: plain(value) for key, value in answer.items()}
    if isinstance(answer, np.ndarray):
        return answer.tolist()
    if hasattr(answer, "payloads"):
        return (answer.ids, answer.payloads, answer.semantic.tolist(), answer.keyword.tolist(), answer.tokens)
    if isinstance(answer, Embedding):
        return (answer.dense.tolist(), answer.tokens)
    return answer


def fill(engine, scope: Scope) -> tuple[str, ...]:
    """A bank with a head, records and units; the same names in every bank."""
    engine.call(scope, CreateHead(Head(epoch=1, exists=True)))
    engine.call(scope, WriteRecords(tuple(Record(OPERATION, key, {"of": scope.key}, seq=1) for key in ("k", "shared"))))
    engine.call(scope, InsertUnits((new_unit(scope, "red pending apple"),)))
    return put_live(engine, scope, new_unit(scope, "red apple", tags=("x",)), new_unit(scope, "red pear", tags=("y",)))


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("other", ["another bank", "another tenant", "a bank whose name holds a slash"])
def test_no_read_sees_another_bank(engine, scope, read, other):
    near = {
        "another bank": Scope(scope.tenant, f"{scope.bank}2"),
        "another tenant": Scope(f"{scope.tenant}2", scope.bank),
        "a bank whose name holds a slash": Scope(f"{scope.tenant}/{scope.bank}", ""),
    }[other]
    mine = fill(engine, scope)
    alone, mine_alone = plain(engine.call(scope, read(mine))), plain(engine.call(near, read(mine)))
    theirs = fill(engine, near)
    assert set(mine).isdisjoint(theirs)
    assert plain(engine.call(scope, read(mine))) == alone
    assert plain(engine.call(scope, read(mine + theirs))) == alone
    empty = plain(engine.call(fresh_scope(scope.tenant), read(mine + theirs)))
    assert mine_alone == empty
    assert empty in (None, {}, frozenset(), ((), (), [], [])) or getattr(empty, "total", 0) == 0


def test_a_bare_id_is_found_for_its_tenant_only(engine, scope):
    (unit,) = put_texts(engine, scope, ["red apple"])
    assert engine.find_unit(scope.tenant, unit)[0] == scope
    assert engine.find_unit(f"{scope.tenant}2", unit) is None
    assert engine.find_unit("", unit) is None
    assert engine.find_unit(scope.tenant, "00000000-0000-8000-8000-000000000000") is None


@pytest.mark.parametrize("name", ["", "a/b", "a\x00b", "日本", "x" * 3000, "' OR 1=1 --", "*"])
def test_any_name_is_a_bank_of_its_own(engine, name):
    scope = Scope(fresh_scope().tenant, name)
    (unit,) = put_texts(engine, scope, ["red apple"])
    engine.call(scope, CreateHead(Head(exists=True)))
    assert [u.id for u in engine.call(scope, ListUnits(10)).units] == [unit]
    assert [bank for bank, _ in engine.list_heads(scope.tenant, 10, 0).banks] == [name]


# -- pages


@pytest.mark.parametrize("seqs", [1, 3, 40], ids=["one seq", "three seqs", "a seq each"])
@pytest.mark.parametrize("size", [1, 7, 40, 100])
def test_pages_of_units_are_complete_and_without_repeats(engine, scope, seqs, size):
    for number in range(40):
        put_live(engine, scope, new_unit(scope, f"text {number}"), seq=number % seqs + 1)
    pages = [engine.call(scope, ListUnits(size, offset)) for offset in range(0, 41, size)]
    units = [unit for page in pages for unit in page.units]
    assert [(unit.seq, unit.id) for unit in units] == sorted(
        ((unit.seq, unit.id) for unit in units), key=lambda pair: (-pair[0], pair[1])
    )
    assert len({unit.id for unit in units}) == len(units) == 40
    assert {page.total for page in pages} == {40}


def test_a_page_past_the_end_is_empty_and_knows_the_total(engine, scope):
    put_texts(engine, scope, ["a", "b"])
    for page in (engine.call(scope, ListUnits(5, 2)), engine.call(scope, ListUnits(0))):
        assert (page.units, page.total) == ((), 2)


def test_a_page_holds_only_what_matches(engine, scope):
    for number in range(9):
        put_live(engine, scope, new_unit(scope, f"text {number}", tags=("x",) if number % 2 else ()), seq=1)
    page = engine.call(scope, ListUnits(3, 3, AnyOf("tags", ("x",))))
    assert (len(page.units), page.total) == (1, 4)
    assert page.units[0].tags == ("x",)


@pytest.mark.parametrize("orders", [1, 25], ids=["one order", "an order each"])
def test_pages_of_records_come_newest_first(engine, scope, orders):
    engine.call(
        scope,
        WriteRecords(
            tuple(
                Record(OPERATION, f"op-{n}", {}, order=n % orders + (1 << 50), status="even" if n % 2 == 0 else "odd")
                for n in range(25)
            )
        ),
    )
    pages = [engine.call(scope, ListRecords(OPERATION, 4, offset)) for offset in range(0, 28, 4)]
    records = [record for page in pages for record in page.records]
    assert [record.order for record in records] == sorted((r.order for r in records), reverse=True)
    assert len({record.key for record in records}) == len(records) == 25
    assert {page.total for page in pages} == {25}
    even = engine.call(scope, ListRecords(OPERATION, 100, status="even"))
    assert ({record.status for record in even.records}, even.total) == ({"even"}, 13)
    assert engine.call(scope, ListRecords(OPERATION, 100, status="none")).total == 0
    middle = sorted(record.order for record in records)[12]
    old = engine.call(scope, ListRecords(OPERATION, 100, until=middle))
    assert sorted(record.order for record in old.records) == sorted(r.order for r in records if r.order <= middle)
    assert old.total == len(old.records)
    assert engine.call(scope, ListRecords(RecordKind.DOCUMENT, 100)).total == 0


def test_records_below_zero_have_their_place_in_the_order(engine, scope):
    """The lines of stages are listed lowest seq first: their order is the negated seq."""
    engine.call(scope, WriteRecords(tuple(Record(RecordKind.STAGES, f"d{n}", {}, order=-n) for n in (3, 1, 2))))
    page = engine.call(scope, ListRecords(RecordKind.STAGES, 2))
    assert ([record.key for record in page.records], page.total) == (["d1", "d2"], 3)


def test_a_record_is_read_as_it_was_written(engine, scope):
    record = Record(OPERATION, "k", {"a": [1, None, "ü\x00"], "b": {"c": 0.5}}, seq=3, epoch=2, order=5, status="s")
    engine.call(scope, WriteRecords((record,)))
    assert engine.call(scope, GetRecords(OPERATION, ("k", "absent"))) == {"k": record}
    assert engine.call(scope, ListRecords(OPERATION, 1)).records == (record,)


# -- values


def test_values_are_counted_over_live_units_that_match(engine, scope):
    put_live(
        engine,
        scope,
        new_unit(scope, "a", tags=("x", "y"), speaker="Ann"),
        new_unit(scope, "b", tags=("x",), speaker="Ann"),
        new_unit(scope, "c", speaker="Bob", type=UnitType.EXPERIENCE),
    )
    engine.call(scope, InsertUnits((new_unit(scope, "d", tags=("x",)),)))
    assert engine.call(scope, CountValues("tags", 10)) == {"x": 2, "y": 1}
    assert list(engine.call(scope, CountValues("tags", 1)).items()) == [("x", 2)]
    assert engine.call(scope, CountValues("type", 10, AnyOf("tags", ("y",)))) == {"world": 1}
    assert engine.call(scope, CountValues("type", 10)) == {"world": 2, "experience": 1}
    assert engine.call(scope, CountValues("entities", 10)) == {}


# -- lanes


def test_the_semantic_lane_brings_the_nearest_with_their_cosine(engine, scope):
    texts = ["red apple", "red pear", "blue sky over the river"]
    ids = put_texts(engine, scope, texts)
    (lane,) = engine.call(scope, SearchLanes((Lane(2, dense=dense("red apple") * 3),)))
    assert lane.ids == ids[:2]
    assert lane.scores == pytest.approx([1.0, float(dense("red apple") @ dense("red pear"))], abs=1e-5)


def test_the_keyword_lane_brings_only_units_with_a_word_in_common(engine, scope):
    ids = put_texts(engine, scope, ["red apple", "an apple and a pear", "blue sky"])
    (lane,) = engine.call(scope, SearchLanes((Lane(10, lexical="apple"),)))
    assert set(lane.ids) == set(ids[:2])
    assert lane.scores[0] >= lane.scores[1] > 0
    for nothing in ("", "the of", "zebra", "?!"):
        assert engine.call(scope, SearchLanes((Lane(10, lexical=nothing),)))[0].ids == ()


def test_keyword_scores_are_bm25_with_the_idf_of_the_banks_live_units(engine, scope):
    ids = put_texts(engine, scope, ["apple", "pear", "the of", "plum"])
    engine.call(scope, InsertUnits(tuple(new_unit(scope, f"apple pending {n}") for n in range(4))))
    (lane,) = engine.call(scope, SearchLanes((Lane(10, lexical="apple"),)))
    weight = document_weights("apple").values[0]
    assert lane.ids == ids[:1]
    assert lane.scores[0] == pytest.approx(weight * math.log((4 - 1 + 0.5) / (1 + 0.5) + 1), abs=1e-4)


@pytest.mark.parametrize("other", ["another bank", "another tenant"])
def test_another_banks_words_do_not_change_keyword_scores(engine, scope, other):
    near = Scope(scope.tenant, "near") if other == "another bank" else Scope("near", scope.bank)
    put_texts(engine, scope, ["red apple", "green apple", "blue sky"])
    search = SearchLanes((Lane(10, lexical="apple sky"),))
    before = engine.call(scope, search)
    put_texts(engine, near, [f"apple number {n}" for n in range(50)])
    assert engine.call(scope, search) == before


def test_a_filter_narrows_what_is_found_and_not_the_idf(engine, scope):
    ids = put_texts(engine, scope, ["red apple", "green apple", "blue sky"])
    (whole,) = engine.call(scope, SearchLanes((Lane(10, lexical="apple"),)))
    (part,) = engine.call(scope, SearchLanes((Lane(10, lexical="apple"),), HasId(ids[:1])))
    assert part.ids == ids[:1]
    assert part.scores[0] == dict(zip(whole.ids, whole.scores, strict=True))[ids[0]]


def test_missing_scores_are_completed_and_known_ones_kept(engine, scope):
    one, two, three = put_texts(engine, scope, ["red apple", "red pear", "blue sky"])
    query = dense("red apple")
    hits = engine.call(
        scope, CompleteHits({one: 0.25, two: 0.5}, {three: 7.0}, query, "pear", dense_for=(three,), lexical_for=(two,))
    )
    assert hits.ids == tuple(sorted((one, two, three)))
    semantic, keyword = (dict(zip(hits.ids, s.tolist(), strict=True)) for s in (hits.semantic, hits.keyword))
    assert (semantic[one], semantic[two]) == (0.25, 0.5)
    assert semantic[three] == pytest.approx(float(query @ dense("blue sky")), abs=1e-5)
    assert (keyword[one], keyword[three]) == (0.0, 7.0)
    assert keyword[two] > 0
    payloads = dict(zip(hits.ids, hits.payloads, strict=True))
    assert payloads[three]["text"] == "blue sky"
    assert not {"bank", "tenant", "bank_key", "state", "epoch"} & set(payloads[three])


def test_units_that_are_no_longer_live_are_not_completed(engine, scope):
    (live,) = put_texts(engine, scope, ["red apple"])
    pending = new_unit(scope, "red pear")
    engine.call(scope, InsertUnits((pending,)))
    known = {live: 1.0, pending.unit.id: 0.9, "00000000-0000-8000-8000-000000000000": 0.8}
    hits = engine.call(scope, CompleteHits(known, {}, dense("x"), "x", (), tuple(known)))
    assert hits.ids == (live,)
