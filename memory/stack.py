"""One recall over several banks, the nearest first: their candidates are ranked together, each by its own bank's words.

Cosines mean the same in every bank, and so do products of token vectors; BM25 counts words by the bank's own IDF.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from memory.late import Columns
from memory.query import Understood
from memory.recall import NOTHING, Candidates, Ranked, RecallAnswer, RecallQuery, answer
from memory.recall_trace import LANES
from memory.recipes import Recipe
from memory.reranking import Reranked
from memory.store_calls import Hits, LaneHits

NO_LANES = tuple(LaneHits((), ()) for _ in LANES)
"""What the lanes bring where there is no bank."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What banks brought, by name, the nearest first; `candidates` are those of all of them, as of one bank."""

    found: tuple[tuple[str, Candidates], ...]
    candidates: Candidates

    @classmethod
    def of(cls, found: Sequence[tuple[str, Candidates]]) -> Self:
        """The candidates of several banks."""
        return cls(tuple(found), _merge([candidates for _, candidates in found], [bank for bank, _ in found]))

    def answer(
        self, query: RecallQuery, understood: Understood, recipe: Recipe, reranked: Reranked | None = None
    ) -> RecallAnswer:
        """As memory.recall.answer; each result names its bank.

        Units that say the same score alike; ties go to the nearest bank, within one by id.
        """
        answered = answer(query, understood, self.candidates, recipe, reranked)
        banks = {unit: bank for bank, candidates in self.found for unit in candidates.hits.ids}
        documents = {
            unit: payload["document_id"]
            for _, candidates in self.found
            for unit, payload in zip(candidates.hits.ids, candidates.hits.payloads, strict=True)
        }

        def named(result: Ranked) -> Ranked:
            payload = {**result.payload, "document_id": documents[result.id]}
            return result._replace(payload=payload, bank=banks[result.id])

        trace = answered.trace
        if trace is not None:
            ranked = [{**row, "bank_id": banks[row["id"]]} for row in trace["ranked"]]
            trace = {**trace, "banks": [bank for bank, _ in self.found], "ranked": ranked}
        return replace(answered, results=tuple(map(named, answered.results)), trace=trace)


def _merge(found: Sequence[Candidates], banks: Sequence[str]) -> Candidates:
    """Candidates of all banks as those of one; documents of two banks stay two where they have the same id."""
    if not found:
        return Candidates(NOTHING, NO_LANES)
    hits = Hits(
        tuple(unit for one in found for unit in one.hits.ids),
        tuple(
            {**payload, "document_id": (bank, payload["document_id"])}
            for bank, one in zip(banks, found, strict=True)
            for payload in one.hits.payloads
        ),
        np.concatenate([one.hits.semantic for one in found]),
        np.concatenate([one.hits.keyword for one in found]),
    )
    facts = [one.facts for one in found]
    return Candidates(
        hits,
        _merge_lanes([one.lanes for one in found if one.lanes]),
        Hits(
            tuple(unit for one in facts for unit in one.ids),
            tuple(payload for one in facts for payload in one.payloads),
            np.concatenate([one.semantic for one in facts]),
            np.concatenate([one.keyword for one in facts]),
        ),
        _merge_matches(found),
        _twins([str(payload["text"]) for payload in hits.payloads]),
        any(one.incomplete for one in found),
    )


def _merge_lanes(found: Sequence[tuple[LaneHits, ...]]) -> tuple[LaneHits, ...]:
    """What each lane brought from all banks, best first."""
    if not found:
        return NO_LANES
    lanes = []
    for parts in zip(*found, strict=True):
        rows = [row for part in parts for row in zip(part.ids, part.scores, strict=True)]
        rows.sort(key=lambda row: -row[1])
        lanes.append(LaneHits(tuple(unit for unit, _ in rows), tuple(score for _, score in rows)))
    return tuple(lanes)


def _merge_matches(found: Sequence[Candidates]) -> Columns | None:
    """Units of a bank that were not compared are unknown, as those without token vectors are."""
    tokens = next((len(one.matches) for one in found if one.matches is not None), None)
    if tokens is None:
        return None
    unknown = [np.full((tokens, len(one.hits.ids)), np.nan, dtype=np.float32) for one in found]
    compared = [one.matches for one in found]
    return np.concatenate([own if own is not None else none for own, none in zip(compared, unknown, strict=True)], 1)


def _twins(texts: Sequence[str]) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    first: dict[str, int] = {}
    return np.fromiter((first.setdefault(text, place) for place, text in enumerate(texts)), np.intp, len(texts))
