"""Metrics against values worked out by hand."""

import math

import pytest

from loadtests.scoring import (
    METRICS,
    Hit,
    hit_at,
    mean_scores,
    ndcg_at,
    places,
    price_tokens,
    recall_at,
    recall_within,
    reciprocal_rank,
    score,
)

EVIDENCE = frozenset({"D1:2", "D3:4"})


def ranking(*turns, price=10.0):
    """Hits of one turn each; None is a result that names no turn."""
    return [Hit(() if turn is None else (turn,), price) for turn in turns]


def test_a_result_with_several_turns_takes_as_many_places_and_one_without_takes_one():
    hits = [Hit(("D1:1", "D1:2"), 1), Hit((), 1), Hit(("D3:4",), 1)]
    assert list(places(hits)) == ["D1:1", "D1:2", None, "D3:4"]
    assert recall_at(1)(hits, EVIDENCE) == 0
    assert recall_at(2)(hits, EVIDENCE) == 0.5
    assert recall_at(3)(hits, EVIDENCE) == 0.5
    assert recall_at(4)(hits, EVIDENCE) == 1


def test_recall_counts_a_repeated_turn_once():
    assert recall_at(5)(ranking("D1:2", "D1:2", "D1:2"), EVIDENCE) == 0.5


def test_hit_is_all_or_nothing():
    hits = ranking("D9:9", "D1:2")
    assert hit_at(1)(hits, EVIDENCE) == 0
    assert hit_at(2)(hits, EVIDENCE) == 1


def test_ndcg_discounts_by_place_and_compares_with_the_best_order():
    best = 1 / math.log2(2) + 1 / math.log2(3)
    assert ndcg_at(10)(ranking("D1:2", "D3:4"), EVIDENCE) == 1
    assert ndcg_at(10)(ranking("D9:9", "D1:2"), EVIDENCE) == pytest.approx((1 / math.log2(3)) / best)
    late = ranking("D1:2", None, "D1:2", "D3:4")
    assert ndcg_at(10)(late, EVIDENCE) == pytest.approx((1 + 1 / math.log2(5)) / best)
    assert ndcg_at(3)(late, EVIDENCE) == pytest.approx(1 / best)


def test_ndcg_of_more_evidence_than_places_can_still_be_one():
    assert ndcg_at(1)(ranking("D1:2"), EVIDENCE) == 1


def test_reciprocal_rank_is_of_the_first_evidence():
    assert reciprocal_rank(ranking("D9:9", None, "D3:4", "D1:2"), EVIDENCE) == pytest.approx(1 / 3)
    assert reciprocal_rank(ranking("D9:9"), EVIDENCE) == 0


def test_recall_within_a_budget_stops_at_the_first_result_that_does_not_fit():
    hits = [Hit(("D1:2",), 60), Hit(("D8:8",), 50), Hit(("D3:4",), 1)]
    assert recall_within(59)(hits, EVIDENCE) == 0
    assert recall_within(60)(hits, EVIDENCE) == 0.5
    assert recall_within(109)(hits, EVIDENCE) == 0.5
    assert recall_within(111)(hits, EVIDENCE) == 1


def test_a_token_is_four_characters():
    assert price_tokens("[2024-03-01] Ada: hello!") == 6


def test_no_results_score_zero_everywhere():
    assert score([], EVIDENCE) == dict.fromkeys(METRICS, 0.0)


def test_means_are_by_category_and_over_all():
    scored = [(1, score(ranking("D1:2", "D3:4"), EVIDENCE)), (4, score([], EVIDENCE)), (4, score([], EVIDENCE))]
    means = mean_scores(scored)
    assert means.keys() == {"1", "4", "all"}
    assert means["1"] == dict.fromkeys(METRICS, 1.0)
    assert means["all"]["R@10"] == pytest.approx(1 / 3)
    assert mean_scores([]) == {}
