"""The store port over an engine in this process: no Ray, no thread, one request at a time."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from memory.audit_calls import ScopePage, Stray
from memory.errors import LorebankError
from memory.ids import Scope
from memory.records import Unit
from memory.store_calls import Call, HeadPage, Request
from storage.run import run

T = TypeVar("T")


class LocalStore:
    """Implements memory.store_calls.Store. Every request waits a turn of the loop first, as over a network."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.requests: list[Request[Any]] = []

    async def perform(self, scope: Scope, request: Request[T]) -> T:
        await asyncio.sleep(0)
        self.requests.append(request)
        return run(self.engine, scope, request)

    async def perform_each(self, requests: Sequence[tuple[Scope, Request[T]]]) -> list[T]:
        return [await self.perform(scope, request) for scope, request in requests]

    async def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        return self.engine.list_heads(tenant, limit, offset)

    async def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        return self.engine.find_unit(tenant, unit_id)

    async def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        return self.engine.list_scopes(start, limit)

    async def stored_spaces(self) -> frozenset[str]:
        return self.engine.stored_spaces()

    async def drop_space(self, space: str) -> None:
        self.engine.drop_space(space)

    async def list_strays(self) -> tuple[Stray, ...]:
        return self.engine.list_strays()


class FaultyEngine:
    """An engine that fails once where it is told to: before or after the call took effect."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self._armed: tuple[type[Call[Any]], int, str, LorebankError] | None = None

    def arm(self, call: type[Call[Any]], when: str, error: LorebankError, *, nth: int = 1) -> None:
        """Fail at the nth call of a kind from now on, `before` or `after` it is performed."""
        assert when in {"before", "after"}
        self._armed = (call, nth, when, error)

    def disarm(self) -> None:
        self._armed = None

    def call(self, scope: Scope, call: Call[T]) -> T:
        if self._armed is None or not isinstance(call, self._armed[0]):
            return self.engine.call(scope, call)
        kind, nth, when, error = self._armed
        self._armed = (kind, nth - 1, when, error) if nth > 1 else None
        if nth > 1:
            return self.engine.call(scope, call)
        if when == "after":
            self.engine.call(scope, call)
        raise error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)
