"""Group commit: the writes of many banks that come while others are under way go to their shard in one call."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

from memory.ids import Scope
from memory.protocol import Execute
from memory.store_calls import Request

Write = tuple[Scope, Request[Any]]

GROUP_WRITES: Final = 32
"""Most writes in one call; they are made to last together."""
CALLS_AT_ONCE: Final = 2
"""Calls under way: one that is worked on, one that is there when it ends."""
LARGE_UNITS: Final = 64
"""A plan with more units travels alone: nobody should wait for its message to be read."""
LARGE_AT_ONCE: Final = 4


class GroupCommit:
    """Sends writes to one shard, grouped; each bank has one write under way, so that a group is one of each bank."""

    def __init__(
        self,
        send_one: Callable[[Scope, Request[Any]], Awaitable[Any]],
        send_many: Callable[[list[Write]], Awaitable[list[Any]]],
    ) -> None:
        self._send_one = send_one
        self._send_many = send_many
        self._waiting: deque[tuple[Write, asyncio.Future[Any]]] = deque()
        self._calls: set[asyncio.Task[None]] = set()
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def perform(self, scope: Scope, request: Request[Any]) -> Any:
        """The answer to a write, or its own error; an error of the call is that of all writes in it."""
        if isinstance(request, Execute) and len(request.plan.add) > LARGE_UNITS:
            async with self._large:
                return await self._send_one(scope, request)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(((scope, request), answer))
        self._send()
        return await answer

    def _send(self) -> None:
        while self._waiting and len(self._calls) < CALLS_AT_ONCE:
            group = [self._waiting.popleft() for _ in range(min(GROUP_WRITES, len(self._waiting)))]
            task = asyncio.get_running_loop().create_task(self._run(group))
            self._calls.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._calls.discard(task)
        self._send()

    async def _run(self, group: "list[tuple[Write, asyncio.Future[Any]]]") -> None:
        writes = [write for write, _ in group]
        try:
            answers = [await self._send_one(*writes[0])] if len(writes) == 1 else await self._send_many(writes)
        except Exception as exc:  # noqa: BLE001 - each of those that wait gets it
            answers = [exc] * len(group)
        for (_, waiting), answer in zip(group, answers, strict=True):
            if waiting.done():
                continue  # whoever asked has given up
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
