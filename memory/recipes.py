"""Named, frozen recipes of recall: how many candidates each lane brings and how much each score weighs."""

from dataclasses import dataclass
from typing import Literal

Budget = Literal["low", "mid", "high"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Candidates per lane by budget, and the weights of the z-scored lanes."""

    name: str
    candidates: dict[str, int]
    semantic_weight: float
    keyword_weight: float


HYBRID = Recipe(
    name="hybrid",
    candidates={"low": 50, "mid": 100, "high": 300},
    semantic_weight=0.6,
    keyword_weight=0.4,
)
"""Weighted z-score fusion of the sentence vector (known names out of the query) and BM25 (names in)."""
