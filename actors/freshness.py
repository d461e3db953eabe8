"""Recall no older than a caller's own write: wait until the store shows it, for a moment at most."""

import asyncio
from collections import OrderedDict

from memory.ids import Scope
from memory.records import Head
from memory.store_calls import ReadHead, Store

WAIT_S = 0.2
"""How long a recall waits for a seq that the store does not show yet, before it is answered as stale."""
_PAUSE_S = 0.005
_GROWTH = 1.5
_PAUSE_MOST_S = 0.04
CACHED_BANKS = 10_000


class Freshness:
    """How far the store shows banks. Seqs only grow, so that what was once seen needs no second look."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._shown: OrderedDict[Scope, int] = OrderedDict()

    async def shows(self, scope: Scope, seq: int, wait_s: float = WAIT_S) -> bool:
        """Whether everything up to a seq is in the store, or came within the time.

        A store that does not answer shows nothing: the recall itself says what is wrong with it.
        """
        if self._shown.get(scope, 0) >= seq:
            return True
        try:
            async with asyncio.timeout(wait_s):
                await self._wait(scope, seq)
        except TimeoutError:
            return False
        return True

    async def _wait(self, scope: Scope, seq: int) -> None:
        pause_s, commit = _PAUSE_S, None
        while True:
            head = await self._store.perform(scope, ReadHead())
            if head is not None and head.seq >= seq:
                # Committed is not yet applied: the commit that has it must be settled, not those that follow.
                commit = head.commit if commit is None else commit
                if head.settled >= commit:
                    self._remember(scope, head)
                    return
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * _GROWTH, _PAUSE_MOST_S)

    def _remember(self, scope: Scope, head: Head) -> None:
        if head.settled < head.commit:
            return
        self._shown[scope] = head.seq
        self._shown.move_to_end(scope)
        if len(self._shown) > CACHED_BANKS:
            self._shown.popitem(last=False)
