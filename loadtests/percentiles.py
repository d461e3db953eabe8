"""Percentiles of durations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Median and tail of some durations in milliseconds, interpolated; `count` is their number, at least one."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, durations_ms: Sequence[float]) -> Self:
        """Of the given durations.

        Raises:
            ValueError: none were given.
        """
        if not durations_ms:
            raise ValueError("no durations to summarise")
        p50_ms, p95_ms, p99_ms = (float(value) for value in np.percentile(durations_ms, [50, 95, 99]))
        return cls(len(durations_ms), p50_ms, p95_ms, p99_ms)

    @classmethod
    def find(cls, durations_ms: Sequence[float]) -> Self | None:
        """Of the given durations; None if there are none."""
        return cls.of(durations_ms) if durations_ms else None

    def __str__(self) -> str:
        return f"p50 {self.p50_ms:.1f}  p95 {self.p95_ms:.1f}  p99 {self.p99_ms:.1f} ms"
