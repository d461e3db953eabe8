"""The lanes of recall on the embedded engine: by the bank's cell index where it has one, else over all its units."""

from dataclasses import replace
from math import ceil
from typing import Final

from qdrant_edge import (
    EdgeShard,
    Filter,
    HasIdCondition,
    IdfParams,
    Query,
    QueryRequest,
    SearchParams,
    SparseVector,
)

from memory.filters import EVIDENCE, TRUE, AnyOf, HasId, every
from memory.filters import Filter as Where
from memory.ids import Scope
from memory.records import UnitState
from memory.store_calls import Lane
from storage import schema
from storage.bank_indexes import BankIndexes, Use
from storage.bank_words import BankWords, Table
from storage.bm25 import query_weights
from storage.cell_index import CellIndex
from storage.edge_spaces import EdgeSpaces
from storage.query_to_edge import scoped

Scored = list[tuple[str, float]]

_LIVE: Final = AnyOf(schema.STATE, (UnitState.LIVE.value,))
_SPARE: Final = 1.25
"""How many times as many units an index is asked for as are wanted, for some may have gone."""
_SPARE_FILTERED: Final = 5
_NOTHING: Final = Filter(must=[HasIdCondition(set())])


class EdgeLanes:
    """Searches over one shard's units. Indexes hold evidence, and vectors of one space: other lanes are scanned."""

    def __init__(self, units: EdgeShard, indexes: BankIndexes, words: BankWords, spaces: EdgeSpaces) -> None:
        self._units = units
        self._spaces = spaces
        self._indexes = indexes
        self._bank_words = words

    def best(self, scope: Scope, lane: Lane, where: Where) -> Scored:
        """Live units of the bank that match, best first, with their scores."""
        use = self._indexes.find(scope) if lane.where == EVIDENCE else None
        if use is None or (lane.dense is not None and lane.space != use.index.card.space):
            return self._scan(scope, lane, where, None)
        found = self._find_by(use, scope, lane, where)
        return self._scan(scope, lane, where, use.index) if found is None else found

    def among(self, scope: Scope, lane: Lane, where: Where) -> Scored:
        """The same, of a few units that `where` names."""
        use = self._indexes.find(scope)
        return self._scan(scope, lane, where, use.index if use else None)

    def _find_by(self, use: Use, scope: Scope, lane: Lane, where: Where) -> Scored | None:
        """What the index and the units that have come since bring; None where that may not be the best that match.

        The index proposes, without looking at filters; the engine says who lives and matches, and scores. As nothing
        that it did not propose is better than what it did, those who are left are the best if they fill the lane.
        """
        wanted = ceil(lane.limit * (_SPARE if where == TRUE else _SPARE_FILTERED))
        proposed, exhausted = _propose(use.index, lane, wanted)
        kept = self._scan(scope, replace(lane, limit=len(proposed)), every(where, HasId(tuple(proposed))), use.index)
        if len(kept) < lane.limit and not exhausted:
            return None
        merged = dict(kept)
        if use.came:
            merged.update(self._scan(scope, lane, every(where, HasId(use.came)), use.index))
        return sorted(merged.items(), key=lambda one: (-one[1], one[0]))[: lane.limit]

    def _scan(self, scope: Scope, lane: Lane, where: Where, index: CellIndex | None) -> Scored:
        if not lane.limit or (lane.dense is not None and not self._spaces.has(lane.space)):
            return []
        matching = scoped(scope, _LIVE, where, lane.where)
        query, params = _dense(lane) if lane.dense is not None else self._words(lane, scope, index)
        found = self._units.query(QueryRequest(limit=lane.limit, query=query, filter=matching, params=params))
        return [(str(point.id), point.score) for point in found]

    def _words(self, lane: Lane, scope: Scope, index: CellIndex | None) -> tuple[Query, SearchParams]:
        """BM25 with the bank's own IDF. An index has counted before; else the bank's words may have been."""
        counted = index or self._bank_words.find(scope)
        if counted is None:  # the engine counts, over all evidence of the bank
            query, corpus = query_weights(lane.lexical or ""), scoped(scope, _LIVE, EVIDENCE)
        else:
            query, corpus = _weighted(lane, counted), _NOTHING
        return Query.Nearest(query, schema.LEXICAL), SearchParams(idf=IdfParams(corpus=corpus))


def _propose(index: CellIndex, lane: Lane, limit: int) -> tuple[list[str], bool]:
    """Ids, best first, and whether there are no others in the index that could be found."""
    if lane.dense is not None:
        return index.nearest(lane.dense, limit), False
    weighted = _weighted(lane, index)
    proposed = index.wordiest(weighted.indices, weighted.values, limit)
    return proposed, len(proposed) < limit


def _dense(lane: Lane) -> tuple[Query, SearchParams]:
    # Graphs of the engine's own, over 22,000 units of one bank, missed a fifth of the ten nearest.
    assert lane.dense is not None
    return Query.Nearest(lane.dense.tolist(), schema.dense_name(lane.space)), SearchParams(exact=True)


def _weighted(lane: Lane, counted: CellIndex | Table) -> SparseVector:
    query = query_weights(lane.lexical or "")
    factors = counted.idf_over_constant(query.indices)
    return SparseVector(query.indices, [value * by for value, by in zip(query.values, factors, strict=True)])
