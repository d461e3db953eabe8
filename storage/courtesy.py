"""Reads of an edge collection that let others pass: the engine keeps the interpreter's lock as long as a call takes."""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from qdrant_edge import EdgeShard

T = TypeVar("T")

LONG_S: Final = 0.012
"""Calls that take longer are followed by a rest."""
REST_SHARE: Final = 0.5
MOST_REST_S: Final = 0.010
"""In so long a recall of a small bank, which makes half a dozen short calls, comes to its end."""


class CourteousShard:
    """An EdgeShard as readers see it. After a long call its thread rests, half as long and at most MOST_REST_S.

    Without the rest, two readers take turns call by call, and one with many short calls waits for a long one at each.
    """

    def __init__(self, shard: EdgeShard, rest: Callable[[float], None] = time.sleep) -> None:
        self._shard = shard
        self._rest = rest

    def query(self, query: Any) -> Any:
        """As EdgeShard.query."""
        return self._timed(lambda: self._shard.query(query))

    def scroll(self, scroll: Any) -> Any:
        """As EdgeShard.scroll."""
        return self._timed(lambda: self._shard.scroll(scroll))

    def count(self, count: Any) -> Any:
        """As EdgeShard.count."""
        return self._timed(lambda: self._shard.count(count))

    def facet(self, facet: Any) -> Any:
        """As EdgeShard.facet."""
        return self._timed(lambda: self._shard.facet(facet))

    def retrieve(self, point_ids: Any, with_payload: Any = None, with_vector: Any = None) -> Any:
        """As EdgeShard.retrieve."""
        return self._timed(lambda: self._shard.retrieve(point_ids, with_payload, with_vector))

    def info(self) -> Any:
        """As EdgeShard.info."""
        return self._timed(self._shard.info)

    def _timed(self, call: Callable[[], T]) -> T:
        begun_s = time.perf_counter()
        answer = call()
        took_s = time.perf_counter() - begun_s
        if took_s > LONG_S:
            self._rest(min(took_s * REST_SHARE, MOST_REST_S))
        return answer


def courteous(shard: EdgeShard) -> EdgeShard:
    """The collection for those who read it."""
    return cast("EdgeShard", CourteousShard(shard))
