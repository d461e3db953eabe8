from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.filters import AnyOf
from memory.fusion import final_score, fuse, keyword_score
from memory.ids import Scope
from memory.placing import STRIDE
from memory.query import understand
from memory.recall import NOTHING, Candidates, MinScores, RecallAnswer, RecallQuery, answer, plan_candidates
from memory.recipes import HYBRID, LATE, RECIPES, WITH_NEIGHBOURS, Recipe, recipe_of
from memory.records import UnitKind, UnitType
from memory.store_calls import CompleteHits, Hits, Lane, SearchLanes
from storage.reference_store import ReferenceStore
from storage.run import run
from tests.support.builders import DIM, dense, embedding, new_unit, put_live, put_texts
from tests.support.strategies import SENTENCE

SCOPE = Scope("t", "b")
SMALL = Recipe("small", {"low": 2, "mid": 3, "high": 5}, 0.6, 0.4)


def bank(*texts: str) -> ReferenceStore:
    engine = ReferenceStore(DIM)
    put_texts(engine, SCOPE, texts)
    return engine


def recall(engine: ReferenceStore, query: RecallQuery, recipe: Recipe = HYBRID) -> RecallAnswer:
    understood = understand(query.query, ())
    candidates = run(engine, SCOPE, plan_candidates(query, understood, embedding(understood.bare), recipe))
    return answer(query, understood, candidates, recipe)


def hits(semantic, keyword, tokens=None) -> Candidates:
    ids = tuple(f"id-{n:03d}" for n in range(len(semantic)))
    counts = tokens or [1] * len(ids)
    fields = {"text": "said", "type": "world", "position": 0}
    payloads = tuple(
        {**fields, "document_id": unit, "text_tokens": count} for unit, count in zip(ids, counts, strict=True)
    )
    return Candidates(Hits(ids, payloads, np.array(semantic, dtype=float), np.array(keyword, dtype=float)))


def ranked(candidates: Candidates, recipe: Recipe = HYBRID, **query) -> RecallAnswer:
    return answer(RecallQuery("q", **query), understand("q", ()), candidates, recipe)


SCORED = st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 30)), min_size=1, max_size=20)


@given(SCORED)
def test_results_come_best_first_with_scores_as_shown(scored):
    semantic, keyword = (np.array(column) for column in zip(*scored, strict=True))
    results = ranked(hits(semantic, keyword)).results
    assert len(results) == len(scored)
    finals = [result.final for result in results]
    assert finals == sorted(finals, reverse=True)
    assert all(0 < final < 1 for final in finals)
    expected = final_score(fuse([(0.6, semantic), (0.4, keyword)]))
    for result in results:
        index = int(result.id.removeprefix("id-"))
        assert result.final == expected[index]
        assert result.semantic == semantic[index]
        assert result.keyword == keyword_score(keyword)[index]


def test_ties_go_by_id():
    tied = ranked(hits([0.5, 0.9, 0.5, 0.9], [1.0, 1.0, 1.0, 1.0]))
    assert [result.id for result in tied.results] == ["id-001", "id-003", "id-000", "id-002"]
    same = ranked(hits([0.3] * 5, [0.0] * 5))
    assert [result.final for result in same.results] == [0.5] * 5
    assert [result.id for result in same.results] == sorted(result.id for result in same.results)


@given(SCORED, st.integers(0, 40), st.none() | st.integers(0, 10), st.data())
def test_the_token_budget_and_the_limit_are_kept(scored, max_tokens, limit, data):
    tokens = data.draw(st.lists(st.integers(1, 9), min_size=len(scored), max_size=len(scored)))
    made = ranked(hits(*zip(*scored, strict=True), tokens=tokens), max_tokens=max_tokens, limit=limit)
    assert sum(result.payload["text_tokens"] for result in made.results) <= max_tokens
    assert limit is None or len(made.results) <= limit


@pytest.mark.parametrize("lane", ["semantic", "keyword", "final"])
def test_results_below_a_bound_are_left_out_before_packing(lane: str):
    candidates = hits([0.1, 0.5, 0.9, 0.7], [1.0, 5.0, 9.0, 7.0], tokens=[50, 1, 1, 1])
    every = ranked(candidates).results
    bound = sorted(getattr(result, lane) for result in every)[2]
    kept = ranked(candidates, min_scores=MinScores(**{lane: bound}), limit=5).results
    assert [result.id for result in kept] == ["id-002", "id-003"]


def test_nothing_found_is_an_empty_answer():
    assert ranked(Candidates(NOTHING)) == RecallAnswer(())
    assert recall(ReferenceStore(DIM), RecallQuery("anything")) == RecallAnswer(())


def test_a_trace_is_there_only_where_it_was_asked_for():
    engine = bank("red apple", "green pear", "blue sky")
    assert recall(engine, RecallQuery("apple")).trace is None
    trace = recall(engine, RecallQuery("apple", trace=True, limit=1)).trace
    assert [lane["lane"] for lane in trace["lanes"]] == ["semantic", "keyword", "facts"]
    assert len(trace["lanes"][1]["ids"]) == 1
    assert [unit["returned"] for unit in trace["ranked"]] == [True, False, False]
    assert recall(ReferenceStore(DIM), RecallQuery("apple", trace=True)).trace["ranked"] == []


def test_a_trace_says_which_lane_brought_a_unit_and_why_it_was_dropped():
    engine = bank("red apple", "green pear", "apple apple pie with a long tail of words", "nothing")
    trace = recall(engine, RecallQuery("apple", trace=True, max_tokens=3), LATE).trace
    units = {unit["id"]: unit for unit in trace["ranked"]}
    for lane in trace["lanes"]:
        assert [units[unit]["lane_ranks"][lane["lane"]] for unit in lane["ids"]] == list(range(1, len(lane["ids"]) + 1))
    assert sorted({unit["dropped"] for unit in units.values() if not unit["returned"]}) == ["max_tokens"]
    assert all((unit["dropped"] is None) == unit["returned"] for unit in units.values())
    assert any(unit["lane_ranks"]["keyword"] is None for unit in units.values())
    assert all(unit["late"] is not None for unit in units.values())
    assert all(unit["late"] is None for unit in recall(engine, RecallQuery("apple", trace=True)).trace["ranked"])


@pytest.mark.parametrize(
    ("asked", "reasons"),
    [
        ({"limit": 1}, [None, "limit", "limit"]),
        ({"limit": 0}, ["limit"] * 3),
        ({"min_scores": MinScores(final=0.999)}, ["min_scores"] * 3),
        ({"max_tokens": 2}, [None, "max_tokens", "max_tokens"]),
    ],
)
def test_each_reason_to_be_left_out_is_told(asked, reasons):
    trace = recall(bank("red apple", "green pear", "blue plum"), RecallQuery("apple", trace=True, **asked)).trace
    assert [unit["dropped"] for unit in trace["ranked"]] == reasons


@given(st.lists(SENTENCE, max_size=12), SENTENCE)
def test_candidates_are_the_best_of_each_lane_scored_in_both(texts, query):
    engine = bank(*texts)
    wanted = RecallQuery(query, budget="low", trace=True)
    understood = understand(query, ())
    candidates = run(engine, SCOPE, plan_candidates(wanted, understood, embedding(query), SMALL))
    every = engine.call(SCOPE, SearchLanes((Lane(100, dense=dense(query)), Lane(100, lexical=query))))
    semantic, keyword = (dict(zip(lane.ids, lane.scores, strict=True)) for lane in every)
    assert set(candidates.hits.ids) == {*list(semantic)[:2], *list(keyword)[:2]}
    assert list(candidates.hits.ids) == sorted(candidates.hits.ids)
    for row, unit in enumerate(candidates.hits.ids):
        assert candidates.hits.semantic[row] == pytest.approx(semantic[unit], abs=1e-6)
        assert candidates.hits.keyword[row] == pytest.approx(keyword.get(unit, 0.0), abs=1e-6)


def test_recall_takes_two_trips_at_most():
    calls = []

    class Counting:
        def __init__(self, engine):
            self.engine = engine

        def call(self, scope, call):
            calls.append(type(call))
            return self.engine.call(scope, call)

    for recipe in RECIPES.values():
        recall(Counting(bank("red apple", "green pear")), RecallQuery("apple"), recipe)
        assert calls == [SearchLanes, CompleteHits]
        calls.clear()
    recall(Counting(ReferenceStore(DIM)), RecallQuery("apple"))
    assert calls == [SearchLanes]


def test_types_and_the_callers_filter_narrow_both_lanes():
    engine = ReferenceStore(DIM)
    put_live(
        engine,
        SCOPE,
        new_unit(SCOPE, "red apple one", tags=("x",)),
        new_unit(SCOPE, "red apple two", tags=("x",), type=UnitType.EXPERIENCE),
        new_unit(SCOPE, "red apple three"),
    )

    def found(**query):
        return sorted(r.payload["text"] for r in recall(engine, RecallQuery("red apple", **query)).results)

    assert len(found()) == 3
    assert found(types=(UnitType.EXPERIENCE,)) == ["red apple two"]
    assert found(where=AnyOf("tags", ("x",))) == ["red apple one", "red apple two"]
    assert found(where=AnyOf("tags", ("x",)), types=(UnitType.WORLD,)) == ["red apple one"]
    assert found(types=(UnitType.OBSERVATION,)) == []


@pytest.mark.parametrize("budget", ["low", "mid", "high"])
def test_a_budget_bounds_what_each_lane_brings(budget):
    plan = plan_candidates(RecallQuery("q", budget=budget), understand("q", ()), embedding("q"))
    assert plan.limit == HYBRID.candidates[budget]
    assert HYBRID.candidates["low"] < HYBRID.candidates["mid"] < HYBRID.candidates["high"]


def chat(engine: ReferenceStore, *turns: str, document_id: str = "d", **fields) -> None:
    """A document of turns at its usual positions."""
    news = (
        new_unit(SCOPE, text, document_id=document_id, occurrence=at, position=at * STRIDE, **fields)
        for at, text in enumerate(turns, start=1)
    )
    put_live(engine, SCOPE, *news)


ONE = Recipe("one", {"low": 1, "mid": 1, "high": 1}, 0.6, 0.4, seeds=1, reach=2)


def test_neighbours_of_the_best_come_beside_them_scored_in_both_lanes():
    engine = ReferenceStore(DIM)
    turns = ("alpha", "beta", "gamma", "which apple", "delta apple tree", "epsilon", "zeta", "eta")
    chat(engine, *turns)
    chat(engine, "theta", "iota", document_id="other")
    found = recall(engine, RecallQuery("which apple"), ONE)
    assert {result.payload["text"] for result in found.results} == set(turns[1:6])
    every = engine.call(SCOPE, SearchLanes((Lane(99, dense=dense("which apple")), Lane(99, lexical="which apple"))))
    semantic, keyword = (dict(zip(lane.ids, lane.scores, strict=True)) for lane in every)
    for result in found.results:
        assert result.semantic == pytest.approx(semantic[result.id])
        assert result.keyword == pytest.approx(keyword_score(np.array([keyword.get(result.id, 0.0)]))[0])
    alone = recall(engine, RecallQuery("which apple"), replace(ONE, reach=0))
    assert [result.payload["text"] for result in alone.results] == ["which apple"]


def test_neighbours_that_do_not_match_stay_away():
    engine = ReferenceStore(DIM)
    chat(engine, "left one", tags=("x",))
    chat(engine, "-", "apple", "right", tags=("y",))
    put_live(engine, SCOPE, new_unit(SCOPE, "hidden", position=2 * STRIDE + 1, type=UnitType.EXPERIENCE, tags=("y",)))
    asked = RecallQuery("apple", where=AnyOf("tags", ("y",)), types=(UnitType.WORLD,))
    assert {result.payload["text"] for result in recall(engine, asked, ONE).results} == {"-", "apple", "right"}


def test_an_unknown_answer_is_no_reason_to_look_for_neighbours():
    assert recall(ReferenceStore(DIM), RecallQuery("apple"), ONE) == RecallAnswer(())


@given(st.lists(SENTENCE, min_size=1, max_size=12), SENTENCE, st.sampled_from(sorted(RECIPES)))
def test_every_recipe_answers_alike_each_time(texts, query, name):
    engine = ReferenceStore(DIM)
    chat(engine, *texts)
    asked = RecallQuery(query, limit=5)
    first = recall(engine, asked, RECIPES[name])
    assert first == recall(engine, asked, RECIPES[name])
    finals = [result.final for result in first.results]
    assert finals == sorted(finals, reverse=True)


@given(st.lists(SENTENCE, min_size=2, max_size=12), st.lists(SENTENCE, min_size=1, max_size=4), SENTENCE, st.data())
def test_facts_change_nothing_about_the_evidence(texts, facts, query, data):
    engine = ReferenceStore(DIM)
    chat(engine, *texts)
    few = replace(LATE, candidates=dict.fromkeys(LATE.candidates, 5), seeds=2, reach=1)
    asked = RecallQuery(query)
    before = recall(engine, asked, few)
    places = data.draw(st.lists(st.integers(1, len(texts)), min_size=len(facts), max_size=len(facts)))
    put_live(
        engine,
        SCOPE,
        *(
            new_unit(SCOPE, text, occurrence=100 + number, kind=UnitKind.FACT, position=place * STRIDE)
            for number, (text, place) in enumerate(zip(facts, places, strict=True))
        ),
    )
    after = recall(engine, asked, few)
    assert [(one.id, one.final) for one in after.results] == [(one.id, one.final) for one in before.results]


def test_the_default_is_late_interaction():
    assert recipe_of(RecallQuery("q").recipe, reranking=True) == LATE
    assert recipe_of(None, reranking=False) == replace(LATE, name=WITH_NEIGHBOURS.name, late=0.0, late_units=0)
    assert recipe_of("hybrid", reranking=False) == HYBRID
    assert plan_candidates(RecallQuery("q"), understand("q", ()), embedding("q")).reach == LATE.reach
    assert set(RECIPES) >= {"hybrid", "contextual", "late-interaction", "late-interaction-without-speaker"}
    assert all(RECIPES[name].name == name for name in RECIPES)


def test_only_the_best_by_the_lanes_are_compared_token_by_token():
    engine = bank("red apple", "green pear", "apple pie", "nothing")
    few = replace(LATE, late_units=2)
    units = recall(engine, RecallQuery("apple", trace=True), few).trace["ranked"]
    assert {unit["id"] for unit in units if unit["late"] is not None} == {
        unit["id"] for unit in recall(engine, RecallQuery("apple", trace=True)).trace["ranked"][:2]
    }
