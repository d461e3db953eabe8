"""Weighted z-score fusion of lanes: put their scores on one scale, then add."""

import numpy as np
from numpy.typing import NDArray

KEYWORD_HALF = 8.0
"""BM25 score that is shown as 0.5."""
FINAL_SCALE = 3.0
"""Deviations above the mean that are shown as 0.73: the best of a hundred candidates stand at three to nine."""


def z_scores(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores with mean 0 and deviation 1, float64, (n,); all zero where they do not differ."""
    if scores.size == 0:
        return scores
    spread = float(scores.std())
    return (scores - scores.mean()) / spread if spread > 1e-9 else np.zeros_like(scores)


def fuse(lanes: list[tuple[float, NDArray[np.float64]]]) -> NDArray[np.float64]:
    """Weighted sum of z-scored lanes over the same candidates, float64, (n,)."""
    total: NDArray[np.float64] = np.sum([weight * z_scores(scores) for weight, scores in lanes], axis=0)
    return total


def final_score(fused: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranking scores on the wire: in (0, 1) and in the same order."""
    return 1.0 / (1.0 + np.exp(-np.clip(fused / FINAL_SCALE, -30.0, 30.0)))


def keyword_score(bm25: NDArray[np.float64]) -> NDArray[np.float64]:
    """BM25 on the wire: BM25 / (BM25 + k), in [0, 1), float64, (n,)."""
    return bm25 / (bm25 + KEYWORD_HALF)
