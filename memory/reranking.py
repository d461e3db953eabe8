"""A cross-encoder's word on the best of a ranking: which texts it is asked for, and how their order changes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory.fusion import z_scores

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reranked:
    """Scores of a cross-encoder for candidates by their place; `weight` of it, the rest of the ranking before."""

    places: tuple[int, ...]
    scores: tuple[float, ...]
    weight: float

    def reorder(self, ranking: Column) -> Column:
        """Ranking scores in which these candidates have changed places among themselves, float64, (n,).

        They share out the scores they had, so that none falls below those that were not asked for, and scores still
        mean what they did.
        """
        if len(self.places) < 2:
            return ranking
        places = np.array(self.places, dtype=np.intp)
        own = z_scores(ranking[places])
        blended = (1.0 - self.weight) * own + self.weight * z_scores(np.array(self.scores))
        changed = ranking.copy()
        # As they stood before where the blend ties: sorted by it, then by where they were.
        order = np.lexsort((places, -ranking[places], -blended))
        changed[places[order]] = np.sort(ranking[places])[::-1]
        return changed

    def column(self, count: int) -> Column:
        """The cross-encoder's scores, NaN for who was not asked for, float64, (count,)."""
        scores = np.full(count, np.nan)
        scores[list(self.places)] = self.scores
        return scores


def best_places(ranking: Column, count: int) -> list[int]:
    """Places of the `count` best, best first; ties by place."""
    places: list[int] = np.argsort(-ranking, kind="stable")[:count].tolist()
    return places


def texts_at(texts: Sequence[str], speakers: Sequence[str | None], places: Sequence[int]) -> list[str]:
    """What a cross-encoder reads: who speaks, and what."""
    return [f"{speakers[place]}: {texts[place]}" if speakers[place] else texts[place] for place in places]
