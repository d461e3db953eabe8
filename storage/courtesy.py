"""Reads of an edge collection that let others pass: the engine keeps the interpreter's lock as long as a call takes."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar, cast

from qdrant_edge import EdgeShard

T = TypeVar("T")

LONG_S: Final = 0.004
"""Calls that take longer are followed by a rest where others read: at most as long as they took."""
MOST_REST_S: Final = 0.050
"""In so long a recall of a small bank, which makes half a dozen short calls, comes to its end beside others, too."""

MOST_PASS_S: Final = 0.1
"""So long is waited for reads under way; only those of a big bank or of many pages take longer."""
PASS_TICK_S: Final = 0.001


class Crowd:
    """The threads that read from one directory now."""

    def __init__(self) -> None:
        self._inside: dict[int, int] = {}  # thread -> number of its read; changes are atomic
        self._numbers = itertools.count()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """The length of one read of the calling thread."""
        mine = threading.get_ident()
        self._inside[mine] = next(self._numbers)
        try:
            yield
        finally:
            self._inside.pop(mine, None)

    def has_others(self) -> bool:
        """Whether a thread other than the calling one reads."""
        return len(self._inside) > (threading.get_ident() in self._inside)

    def let_pass(self, most_s: float, rest: Callable[[float], None] = time.sleep) -> None:
        """Wait for the others' reads that have begun, not for those that begin meanwhile, and at most so long.

        Between two long calls: so no read waits for both.
        """
        mine = threading.get_ident()
        begun = {thread: number for thread, number in dict(self._inside).items() if thread != mine}
        for _ in range(round(most_s / PASS_TICK_S)):
            if not any(self._inside.get(thread) == number for thread, number in begun.items()):
                return
            rest(PASS_TICK_S)


class CourteousShard:
    """An EdgeShard as readers see it. After a long call its thread lets the others' reads pass: at most MOST_REST_S.

    Without the rest, two readers take turns call by call, and one with many short calls waits for a long one at each.
    """

    def __init__(self, shard: EdgeShard, crowd: Crowd, rest: Callable[[float], None] = time.sleep) -> None:
        self._shard = shard
        self._crowd = crowd
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
            self._crowd.let_pass(min(took_s, MOST_REST_S), self._rest)
        return answer


def courteous(shard: EdgeShard, crowd: Crowd) -> EdgeShard:
    """The collection for those who read it."""
    return cast("EdgeShard", CourteousShard(shard, crowd))
