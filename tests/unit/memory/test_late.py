import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.fusion import z_scores
from memory.late import TOKEN_BYTES, TOKEN_DIM, blend, match_tokens, pack_tokens, z_rows
from memory.query import understand
from memory.ranking import rank
from memory.recipes import LATE, Recipe
from memory.store_calls import Hits

CHANCE = np.random.default_rng(7)


def late_of(best: np.ndarray) -> np.ndarray:
    return z_rows(best).sum(axis=0)


def vectors(count: int) -> np.ndarray:
    rows = CHANCE.normal(size=(count, TOKEN_DIM)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(st.integers(1, 5), st.lists(st.integers(0, 6), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_each_token_of_the_query_is_met_by_the_nearest_of_a_unit(asked, lengths, seed):
    chance = np.random.default_rng(seed)

    def drawn(count: int) -> np.ndarray:
        rows = chance.normal(size=(count, TOKEN_DIM)).astype(np.float32)
        return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    query, units = drawn(asked), [drawn(length) for length in lengths]
    best = match_tokens(pack_tokens(query), [pack_tokens(unit) for unit in units])
    assert best.shape == (asked, len(units))
    assert np.isnan(best).all(axis=0).tolist() == [length == 0 for length in lengths]
    exact = np.stack([(query @ unit.T).max(axis=1) for unit in units if len(unit)], axis=1) if any(lengths) else None
    if exact is not None:
        known = best[:, ~np.isnan(best).any(axis=0)]
        shifted = (known - known.mean(axis=1, keepdims=True)) * (2.5 / TOKEN_DIM**0.5 / 7) ** 2
        assert shifted == pytest.approx(exact - exact.mean(axis=1, keepdims=True), abs=0.08)


def test_a_token_takes_64_bytes_and_equal_tokens_equal_bytes():
    one = vectors(3)
    assert len(pack_tokens(one)) == 3 * TOKEN_BYTES
    assert pack_tokens(one) == pack_tokens(one.copy())
    assert pack_tokens(vectors(0)) == b""


def test_a_token_that_all_units_hold_tells_none_apart():
    common, rare, other = vectors(3)
    units = [pack_tokens(np.stack([common, rare])), *(pack_tokens(np.stack([common, row])) for row in vectors(5))]
    both = late_of(match_tokens(pack_tokens(np.stack([common, rare])), units))
    assert both.argmax() == 0
    assert both == pytest.approx(late_of(match_tokens(pack_tokens(rare[None]), units)), abs=1e-6)
    assert late_of(match_tokens(pack_tokens(common[None]), units)) == pytest.approx(np.zeros(6), abs=1e-6)
    assert late_of(match_tokens(pack_tokens(other[None]), units)).shape == (6,)


def test_nothing_to_compare_gives_no_scores():
    assert np.isnan(z_rows(match_tokens(pack_tokens(vectors(2)), [b"", b""]))).all()
    assert match_tokens(b"", [pack_tokens(vectors(2))]).shape == (0, 1)
    assert match_tokens(pack_tokens(vectors(2)), []).shape == (2, 0)


FUSED = np.array([3.0, 2.0, 1.0, 0.5, 0.0, -0.5])


@pytest.mark.parametrize(
    "late",
    [
        pytest.param(np.full(6, np.nan), id="none known"),
        pytest.param(np.array([1.0, 2.0, *[np.nan] * 4]), id="two known"),
        pytest.param(np.ones(6), id="all alike"),
    ],
)
def test_without_enough_to_tell_the_lanes_alone_rank(late):
    assert blend(FUSED, late, 0.6).tolist() == FUSED.tolist()


def test_units_without_token_vectors_keep_their_place_on_average():
    """Where late interaction agrees with the lanes it changes nothing, and where it knows nothing all draw together."""
    agreeing = FUSED * 7 - 3
    half = np.where(np.arange(6) % 2, np.nan, agreeing)
    assert blend(FUSED, agreeing, 0.6) == pytest.approx(FUSED)
    assert blend(FUSED, half, 0.6) == pytest.approx(FUSED)
    opposed = np.where(np.arange(6) % 2, np.nan, -agreeing)
    unknown = blend(FUSED, opposed, 0.6)[1::2]
    assert (np.diff(unknown) < 0).all()
    assert np.ptp(unknown) < np.ptp(FUSED[1::2])


@given(st.lists(st.floats(-3, 3), min_size=4, max_size=12), st.integers(0, 2**32 - 1))
def test_what_is_stored_of_a_unit_neither_lifts_nor_lowers_it_on_average(fused, seed):
    """Over many draws of which units have token vectors, those with and those without have equal means."""
    chance = np.random.default_rng(seed)
    scores = np.array(fused)
    late = scores + chance.normal(size=len(scores))
    known = np.ones(len(scores), dtype=bool)
    known[chance.integers(len(scores))] = False
    blended = blend(scores, np.where(known, late, np.nan), 0.6)
    if blended is not scores:
        assert blended[known].mean() == pytest.approx(scores[known].mean())
        (missing,) = np.flatnonzero(~known)
        low, high = sorted((scores[known].mean(), scores[missing]))
        assert low - 1e-9 <= blended[missing] <= high + 1e-9 or len(scores) < 4


def test_words_that_stand_for_each_other_are_found_by_their_vectors():
    """Neither lane knows more than the other units; the token vectors do."""
    asked, near = vectors(2)
    unit = pack_tokens((asked * 0.9 + near * 0.1)[None])
    others = [pack_tokens(vectors(4)) for _ in range(9)]
    payload = {"text": "x", "text_tokens": 1, "document_id": "d", "type": "world"}
    payloads = tuple({**payload, "document_id": f"d{n}", "position": 0} for n in range(10))
    semantic = z_scores(CHANCE.normal(size=10)) * 0.01
    hits = Hits(tuple(f"{n:02d}" for n in range(10)), payloads, semantic, np.zeros(10))
    matches = match_tokens(pack_tokens(asked[None]), [*others[:4], unit, *others[4:]])
    understood = understand("query", ())
    assert rank(hits, understood, LATE, matches).argmax() == 4
    plain = Recipe("plain", LATE.candidates, 0.6, 0.4, signals=LATE.signals)
    assert rank(hits, understood, LATE, None) == pytest.approx(rank(hits, understood, plain))
