"""Checks what a model answered and normalises it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from memory.errors import ModelUnusable


def unit_rows(values: ArrayLike, n_rows: int, dim: int | None, source: str) -> NDArray[np.float32]:
    """`values` as float32, (n_rows, dim), each row L2-normalised in float64; `source` names the model in errors.

    A `dim` of None accepts any.

    Raises:
        ModelUnusable: another shape, a value that is no finite number, or a row of zeros.
    """
    try:
        rows = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as exc:
        raise ModelUnusable(f"{source}: answered with something that is no list of number rows ({exc})") from exc
    if rows.ndim != 2 or rows.shape[0] != n_rows or rows.shape[1] != (dim or rows.shape[1]):
        raise ModelUnusable(f"{source}: expected vectors of shape ({n_rows}, {dim or 'any'}), found {rows.shape}")
    if not np.isfinite(rows).all():
        raise ModelUnusable(f"{source}: answered with a value that is not finite")
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    if not largest.all():
        raise ModelUnusable(f"{source}: answered with a vector of zeros")
    scaled = rows / largest  # the squares of very large values would overflow
    unit: NDArray[np.float32] = (scaled / np.linalg.norm(scaled, axis=1, keepdims=True)).astype(np.float32)
    return unit
