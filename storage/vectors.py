"""What a sentence vector must be before any engine gets it: some of them would store what cannot be searched."""

import numpy as np
from numpy.typing import NDArray

from memory.errors import Unprocessable


def check_dense(dense: NDArray[np.float32], dim: int, what: str) -> None:
    """Refuse a vector of another shape than (dim,), or with numbers that are none.

    Raises:
        Unprocessable: naming `what`.
    """
    if dense.shape != (dim,) or not np.isfinite(dense).all():
        raise Unprocessable(f"{what}: expected {dim} finite numbers, got {dense.shape}")
