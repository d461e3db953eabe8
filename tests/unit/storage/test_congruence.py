"""Each engine answers what the reference does: equal ids, scores within a tolerance, ties in any order."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.encoding import encode_unit
from memory.filters import TRUE, All, Any_, AnyOf, Between, Empty, Not, Size, Words, holds, tags_filter
from memory.neighbours import Near
from memory.records import UnitKind, UnitState, UnitType
from memory.store_calls import (
    CompleteHits,
    CountValues,
    GetDense,
    GetUnits,
    Lane,
    LaneHits,
    ListUnits,
    SearchLanes,
)
from memory.upkeep_calls import GetEmbeddings
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM, dense, fresh_scope, new_unit, put_live
from tests.support.engines import ENGINES
from tests.support.server_engine import local_engine
from tests.support.strategies import LOREM, SENTENCE

UNITS = 150
TOLERANCE = 1e-3
TAGS = ["a", "b", "c", "ü/ö", ""]
DAYS = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n, microseconds=n) for n in range(20)]
WITH_ONE_ENGINE = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


def random_units(scope, seed: int):
    """Units that differ in everything a filter may ask for."""
    chooser = random.Random(seed)
    for number in range(UNITS):
        text = " ".join(chooser.choices(LOREM, k=chooser.randint(1, 12)))
        yield new_unit(
            scope,
            text,
            occurrence=number,
            document_id=f"d{chooser.randint(0, 5)}",
            kind=chooser.choice(list(UnitKind)),
            type=chooser.choice(list(UnitType)),
            tags=tuple(chooser.sample(TAGS, chooser.randint(0, 3))),
            speaker=chooser.choice([None, "Ann", "Bob"]),
            mentioned_at=chooser.choice([None, *DAYS]),
            position=chooser.randint(-5, 5),
            metadata={"k": chooser.choice("xy")} if chooser.random() < 0.5 else {},
            context=chooser.choice([None, "Some words, in-between: it's 2nd", "Grüße aus KÖLN"]),
        )


SPANS = st.dictionaries(
    st.integers(0, 7).map("d{}".format),
    st.sets(st.integers(-6, 6), min_size=1, max_size=3).map(lambda found: tuple((at, at) for at in sorted(found)))
    | st.tuples(st.tuples(st.integers(-6, 0), st.integers(1, 6))),
    min_size=1,
)
"""Stretches of documents, some of which do not exist."""


@pytest.fixture(scope="module", params=[name for name in ENGINES if name != "reference"])
def candidate(request: pytest.FixtureRequest):
    if request.param == "local":
        with local_engine() as engine:
            yield engine
    else:
        yield request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def pair(candidate):
    """An engine and the reference with the same units in the same bank."""
    scope, reference = fresh_scope(), ReferenceStore(DIM)
    news = list(random_units(scope, seed=7))
    for number, new in enumerate(news):
        for engine in (candidate, reference):
            put_live(engine, scope, new, seq=number % 6 + 1)
    return candidate, reference, scope, [new.unit.id for new in news]


@pytest.fixture(scope="module")
def stored(pair):
    """Payloads of the units, as the engine gives them back."""
    engine, _, scope, ids = pair
    return {unit.id: encode_unit(unit) for unit in engine.call(scope, GetUnits(tuple(ids))).values()}


LEAF = st.one_of(
    st.builds(AnyOf, st.just("tags"), st.lists(st.sampled_from([*TAGS, "none"]), max_size=3).map(tuple)),
    st.builds(AnyOf, st.just("speaker"), st.lists(st.sampled_from(["Ann", "Bob", "Zoe"]), max_size=2).map(tuple)),
    st.builds(AnyOf, st.just("type"), st.lists(st.sampled_from(["world", "experience"]), max_size=2).map(tuple)),
    st.builds(AnyOf, st.just("metadata.k"), st.lists(st.sampled_from("xyz"), max_size=2).map(tuple)),
    st.builds(AnyOf, st.just("seq"), st.lists(st.integers(0, 7), max_size=2).map(tuple)),
    st.builds(Empty, st.sampled_from(["tags", "speaker", "mentioned_at", "metadata", "session"])),
    st.builds(Size, st.just("tags"), st.integers(0, 3)),
    st.builds(
        Between,
        st.sampled_from(["seq", "position"]),
        st.none() | st.integers(-6, 7),
        st.none() | st.integers(-6, 7),
    ),
    st.builds(
        Between,
        st.just("mentioned_at"),
        st.none() | st.sampled_from(DAYS),
        st.sampled_from(DAYS) | st.sampled_from(DAYS).map(lambda at: at + timedelta(microseconds=1)),
    ),
    st.builds(Words, st.just("text"), st.lists(st.sampled_from([*LOREM, "River", "sto"]), max_size=2).map(" ".join)),
    st.builds(
        Words,
        st.just("context"),
        st.sampled_from(["words", "in between", "2ND", "it's", "grüße", "köln AUS", "Köl", "some,words", "", "..."]),
    ),
)
TREE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple).map(All),
        st.lists(inner, max_size=3).map(tuple).map(Any_),
        inner.map(Not),
    ),
    max_leaves=6,
)


@WITH_ONE_ENGINE
@given(TREE)
def test_a_filter_lets_the_same_units_through(pair, tree):
    engine, reference, scope, _ = pair
    asked = ListUnits(UNITS, where=tree)
    assert engine.call(scope, asked) == reference.call(scope, asked)


@WITH_ONE_ENGINE
@given(
    st.lists(st.sampled_from([*TAGS, "none"]), max_size=4),
    st.sampled_from(["any", "all", "any_strict", "all_strict", "exact"]),
)
def test_tags_filters_let_through_what_the_reference_evaluation_does(pair, stored, tags, match):
    engine, _, scope, _ = pair
    tree = tags_filter(tags, match) or TRUE
    expected = {unit for unit, payload in stored.items() if holds(tree, unit, payload)}
    assert {unit.id for unit in engine.call(scope, ListUnits(UNITS, where=tree)).units} == expected


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREE, st.integers(1, 40), st.integers(0, 160))
def test_pages_are_equal(pair, tree, limit, offset):
    engine, reference, scope, _ = pair
    asked = ListUnits(limit, offset, tree)
    assert engine.call(scope, asked) == reference.call(scope, asked)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["tags", "type", "entities", "document_id", "state"]), TREE)
def test_values_are_counted_equally(pair, field, tree):
    engine, reference, scope, _ = pair
    asked = CountValues(field, 100, tree)
    assert engine.call(scope, asked) == reference.call(scope, asked)


def assert_equal_but_for_ties(one: LaneHits, other: LaneHits) -> None:
    """Equal scores in order; equal ids where no other candidate has nearly the same score."""
    assert one.scores == pytest.approx(other.scores, abs=TOLERANCE)
    scores = dict(zip(other.ids, other.scores, strict=True)) | dict(zip(one.ids, one.scores, strict=True))
    lowest = min(other.scores, default=0.0)
    for unit in set(one.ids) ^ set(other.ids):
        assert scores[unit] == pytest.approx(lowest, abs=TOLERANCE), "one lane brought what the other should have"


@WITH_ONE_ENGINE
@given(SENTENCE, st.integers(1, 60), TREE)
def test_lanes_bring_the_same_units_with_the_same_scores(pair, query, limit, tree):
    engine, reference, scope, _ = pair
    asked = SearchLanes((Lane(limit, dense=dense(query)), Lane(limit, lexical=query)), tree, places=5)
    for one, other in zip(engine.call(scope, asked), reference.call(scope, asked), strict=True):
        assert_equal_but_for_ties(one, other)
        found = reference.call(scope, GetUnits(one.ids[:5]))
        assert one.places == tuple((found[unit].document_id, found[unit].position) for unit in one.ids[:5])


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SENTENCE, st.data())
def test_completed_hits_are_equal(pair, query, data):
    engine, reference, scope, ids = pair
    some = st.lists(st.sampled_from(ids), unique=True, max_size=10)
    semantic, keyword = (dict.fromkeys(data.draw(some), 0.5) for _ in range(2))
    dense_for = tuple(unit for unit in keyword if unit not in semantic)
    lexical_for = tuple(unit for unit in semantic if unit not in keyword)
    near = data.draw(st.none() | st.builds(Near, SPANS, TREE, st.just(UNITS), st.booleans()))
    asked = CompleteHits(semantic, keyword, dense(query), query, dense_for, lexical_for, near, data.draw(st.booleans()))
    other = reference.call(scope, asked)
    for one in (engine.call(scope, asked), engine.call(scope, asked)):  # what was asked for before may be in memory
        assert one.ids == other.ids
        assert one.payloads == other.payloads
        assert one.tokens == other.tokens
        assert one.semantic == pytest.approx(other.semantic, abs=TOLERANCE)
        assert one.keyword == pytest.approx(other.keyword, abs=TOLERANCE)


def test_units_and_vectors_are_read_back_equal(pair):
    engine, reference, scope, ids = pair
    assert engine.call(scope, GetUnits(tuple(ids))) == reference.call(scope, GetUnits(tuple(ids)))
    one, other = (either.call(scope, GetDense(tuple(ids))) for either in (engine, reference))
    assert set(one) == set(other) == set(ids)
    assert all(one[unit] == pytest.approx(other[unit], abs=1e-6) for unit in ids)
    one, other = (either.call(scope, GetEmbeddings(tuple(ids))) for either in (engine, reference))
    assert set(one) == set(other) == set(ids)
    assert all(one[unit].tokens == other[unit].tokens != b"" for unit in ids)
    assert all(one[unit].dense == pytest.approx(other[unit].dense, abs=1e-6) for unit in ids)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(SENTENCE, st.booleans()), max_size=8), SENTENCE)
def test_small_banks_score_alike(candidate, reference, drawn, query):
    """Idf is at its most sensitive where there are few units; pending ones do not count."""
    scope = fresh_scope()
    for number, (text, live) in enumerate(drawn):
        new = new_unit(scope, text, occurrence=number, state=UnitState.PENDING)
        for engine in (candidate, reference):
            put_live(engine, scope, new, epoch=1 if live else 0)
    asked = SearchLanes((Lane(20, dense=dense(query)), Lane(20, lexical=query)))
    for one, other in zip(candidate.call(scope, asked), reference.call(scope, asked), strict=True):
        assert_equal_but_for_ties(one, other)
        assert set(one.ids) == set(other.ids)
