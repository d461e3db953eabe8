import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.fusion import KEYWORD_HALF, final_score, fuse, keyword_score, z_scores
from memory.packing import pack

SCORES = st.lists(st.floats(-100, 100), max_size=30).map(np.array)


@given(SCORES)
def test_z_scores_have_mean_0_and_deviation_1(scores):
    made = z_scores(scores)
    if scores.size and scores.std() > 1e-6:
        assert made.mean() == pytest.approx(0, abs=1e-6)
        assert made.std() == pytest.approx(1, abs=1e-6)
        assert (np.diff(made[np.argsort(scores)]) >= 0).all()
    assert np.isfinite(made).all()


@given(st.floats(-1e6, 1e6), st.integers(0, 20))
def test_equal_scores_say_nothing(value: float, count: int):
    assert z_scores(np.full(count, value)).tolist() == [0.0] * count


def test_one_candidate_has_the_middle_score():
    assert final_score(fuse([(0.6, np.array([0.9])), (0.4, np.array([7.0]))])).tolist() == [0.5]


def test_no_candidate_has_no_score():
    assert fuse([(0.6, np.zeros(0)), (0.4, np.zeros(0))]).shape == (0,)


@given(SCORES)
def test_final_scores_lie_between_0_and_1_in_the_order_of_the_fused(fused):
    final = final_score(fused)
    assert ((final > 0) & (final < 1)).all()
    assert (np.diff(final[np.argsort(fused, kind="stable")]) >= 0).all()


@given(st.lists(st.floats(-24, 24), min_size=2, max_size=2, unique=True))
def test_unequal_fused_scores_that_occur_stay_unequal(pair):
    """Weights add up to 1 and a z-score of n candidates is at most the root of n: 600 give 24.5."""
    low, high = sorted(pair)
    if high - low > 1e-3:
        one, other = final_score(np.array([low, high]))
        assert one < other


@given(st.lists(st.floats(0, 1e6), max_size=20).map(np.array))
def test_keyword_scores_lie_between_0_and_1_and_keep_their_order(bm25):
    shown = keyword_score(bm25)
    assert ((shown >= 0) & (shown < 1)).all()
    assert (np.diff(shown[np.argsort(bm25)]) >= 0).all()


def test_the_half_score_is_what_it_is_called():
    assert keyword_score(np.array([KEYWORD_HALF, 0.0])).tolist() == [0.5, 0.0]


def test_a_lane_weighs_what_its_recipe_says():
    semantic, keyword = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert fuse([(0.6, semantic), (0.4, keyword)]) == pytest.approx([0.2, -0.2])


TOKENS = st.lists(st.integers(0, 50), max_size=30)


@given(TOKENS, st.integers(0, 200), st.none() | st.integers(0, 10))
def test_what_is_packed_fits_both_bounds_and_keeps_its_order(tokens, max_tokens, limit):
    chosen = pack(tokens, max_tokens, limit)
    assert sum(tokens[i] for i in chosen) <= max_tokens
    assert limit is None or len(chosen) <= limit
    assert chosen == sorted(set(chosen))


@given(TOKENS, st.integers(1, 200))
def test_what_is_left_out_would_not_fit_before_what_comes_later(tokens, max_tokens):
    chosen = pack(tokens, max_tokens, None)
    for index in set(range(len(tokens))) - set(chosen):
        before = sum(tokens[i] for i in chosen if i < index)
        assert before + tokens[index] > max_tokens or before == max_tokens


def test_a_unit_too_long_does_not_keep_later_ones_out():
    assert pack([5, 100, 4, 1, 1], 10, None) == [0, 2, 3]
    assert pack([5, 100, 4, 1, 1], 10, 2) == [0, 2]
    assert pack([1, 1], 10, 0) == []
    assert pack([], 10, None) == []
