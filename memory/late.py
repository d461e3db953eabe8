"""Late interaction: how well each word piece of a query is met by the nearest one of a unit. Pure numpy.

An embedder's token vectors, of one forward pass with the sentence vector, are packed to 64 bytes each: 128 dimensions
of four bits. Eight bits found no more (docs/RECALL.md). They are compared with each other only, so that scale and
offset do not count.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TOKEN_DIM = 128
TOKEN_BYTES = TOKEN_DIM // 2
_TOP = 7
_CLIP = 2.5 / TOKEN_DIM**0.5
"""Where four bits end: few dimensions of a vector of unit length are larger."""

_FEWEST = 3
_FLAT = 1e-9
_FLAT_ROW = 1e-6

Columns = NDArray[np.float32]


def pack_tokens(vectors: NDArray[np.float32]) -> bytes:
    """Token vectors, float32, (n_tokens, TOKEN_DIM), rows L2-normalised, in TOKEN_BYTES each."""
    whole = np.clip(np.rint(vectors * (_TOP / _CLIP)), -_TOP, _TOP).astype(np.int8) + 8
    halves = whole.astype(np.uint8).reshape(-1, TOKEN_BYTES, 2)
    packed: NDArray[np.uint8] = halves[:, :, 0] << 4 | halves[:, :, 1]
    return packed.tobytes()


def match_tokens(query: bytes, units: Sequence[bytes]) -> Columns:
    """Best product of each of the query's token vectors with any of each unit's; float32, (n_query_tokens, n_units).

    NaN for units without token vectors. Products differ from cosines by one factor and by a summand a row.
    """
    high, low = _halves(query)
    best = np.full((len(high), len(units)), np.nan, dtype=np.float32)
    counts = np.fromiter((len(packed) // TOKEN_BYTES for packed in units), np.intp, len(units))
    known = counts > 0
    if len(high) and known.any():
        unit_high, unit_low = _halves(b"".join(units))
        # Only the query's half is moved back around 0: the same summand for every unit goes with the z-score.
        products = (high - 8) @ unit_high.T + (low - 8) @ unit_low.T
        starts = np.cumsum(counts[known]) - counts[known]
        best[:, known] = np.maximum.reduceat(products, starts, axis=1)
    return best


def z_rows(best: Columns) -> NDArray[np.float64]:
    """Each token's row z-scored over the units that have token vectors; float64, as `best`, NaN stays.

    This is what IDF is for: a word that all candidates hold tells none apart. A table of IDF beside it added nothing
    (docs/RECALL.md).
    """
    known = ~np.isnan(best).any(axis=0)
    rows = best[:, known].astype(np.float64)
    scores = np.full(best.shape, np.nan)
    if rows.size:
        spread = rows.std(axis=1, keepdims=True)
        centred = rows - rows.mean(axis=1, keepdims=True)
        scores[:, known] = np.divide(centred, spread, out=np.zeros_like(rows), where=spread > _FLAT_ROW)
    return scores


def blend(fused: NDArray[np.float64], late: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """The lanes' fused scores with `weight` of late interaction in them; late: NaN where unknown; float64, (n,).

    Late scores are put on the scale of the fused ones of the same units. A unit without gets what its fused score lets
    expect (the regression over the others), so that it is neither lifted nor lowered for what is not stored of it.
    Where fewer than three are known, or all are alike, nothing changes.
    """
    known = ~np.isnan(late)
    lanes, words = fused[known], late[known]
    if len(words) < _FEWEST or words.std() < _FLAT or lanes.std() < _FLAT:
        return fused
    scaled = (words - words.mean()) / words.std()
    likeness = max(0.0, float(np.mean(scaled * (lanes - lanes.mean())) / lanes.std()))
    expected = lanes.mean() + likeness * (fused - lanes.mean())
    expected[known] = lanes.mean() + lanes.std() * scaled
    blended: NDArray[np.float64] = (1.0 - weight) * fused + weight * expected
    return blended


def _halves(packed: bytes) -> tuple[Columns, Columns]:
    """Even and odd dimensions, each moved by 8, float32, (n_tokens, TOKEN_BYTES)."""
    both = np.frombuffer(packed, np.uint8).reshape(-1, TOKEN_BYTES)
    return (both >> 4).astype(np.float32), (both & 15).astype(np.float32)
