"""A cross-encoder beside recall: asked for the best candidates within a time box; without it the ranking stays."""

import asyncio
import time

from actors.settings import Settings
from actors.wiring import build_reranker
from memory.errors import LorebankError
from memory.query import Understood
from memory.ranking import rank
from memory.recall import Candidates
from memory.recipes import Recipe
from memory.reranking import Reranked, best_places, texts_at

FAILURES = 3
"""Answers missed in a row after which it is left alone for a while, so that recalls do not wait for nothing."""
REST_S = 5.0


class CrossEncoder:
    """What the settings say of a reranker; without one nothing is asked."""

    def __init__(self, settings: Settings) -> None:
        self._reranker = build_reranker(settings)
        self._candidates = settings.reranker_candidates
        self._weight = settings.reranker_weight
        self._timeout_s = settings.reranker_timeout_ms / 1000
        self._missed = 0
        self._resting_until_s = 0.0

    @property
    def configured(self) -> bool:
        """Whether there is one."""
        return self._reranker is not None

    async def rerank(self, understood: Understood, found: Candidates, recipe: Recipe) -> tuple[Reranked | None, str]:
        """Its scores for the best candidates; or None, and why there are none."""
        if self._reranker is None or not found.hits.ids:
            return None, ""
        if time.monotonic() < self._resting_until_s:
            return None, f"left alone for {REST_S:g} s after {self._missed} failures"
        ranking = rank(found.hits, understood, recipe, found.matches)
        places = best_places(ranking, self._candidates)
        payloads = found.hits.payloads
        texts = texts_at([row["text"] for row in payloads], [row.get("speaker") for row in payloads], places)
        try:
            async with asyncio.timeout(self._timeout_s):
                scores = await self._reranker.score(understood.query, texts, self._timeout_s)
        except TimeoutError:
            return None, self._note_failure(f"no answer within {self._timeout_s * 1000:.0f} ms")
        except LorebankError as exc:
            return None, self._note_failure(str(exc))
        self._missed = 0
        return Reranked(tuple(places), tuple(scores), self._weight), ""

    def _note_failure(self, reason: str) -> str:
        self._missed += 1
        if self._missed >= FAILURES:
            self._resting_until_s = time.monotonic() + REST_S
        return reason
