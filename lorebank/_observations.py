"""Observations over a client: `client.observations`."""

import uuid
from collections.abc import Sequence
from typing import Unpack

from lorebank import wire
from lorebank._calls import Call, bank_path, get_call, send_call
from lorebank._models import AsyncSend, Send
from lorebank._options import PageOptions
from lorebank._transport import Request

Scopes = Sequence[Sequence[str]]


class Observations:
    """What several facts of a bank came to: `client.observations`. Raises what the client's methods raise."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def consolidate(self, bank_id: str, scopes: Scopes | None = None) -> wire.ConsolidationResponse:
        """Have made what is to be made; the operation tells of the end. scopes: of facts with all tags of one alone."""
        return self._send(_consolidate(bank_id, scopes))

    def recover(self, bank_id: str) -> wire.RecoverConsolidationResponse:
        """Try again what was given up on."""
        return self._send(_recover(bank_id))

    def list(self, bank_id: str, **page: Unpack[PageOptions]) -> wire.ListMemoryUnitsResponse:
        """A page of observations, newest first."""
        return self._send(_list(bank_id, page))

    def scopes(self, bank_id: str, **page: Unpack[PageOptions]) -> wire.ObservationScopesResponse:
        """Under which tags there are how many."""
        return self._send(_scopes(bank_id, page))

    def history(self, bank_id: str, memory_id: str) -> wire.MemoryHistoryResponse:
        """What one said before."""
        return self._send(_history(bank_id, memory_id))

    def clear(self, bank_id: str) -> wire.DeleteResponse:
        """Remove all; where the bank consolidates by itself, they are made anew."""
        return self._send(_clear(bank_id))

    def clear_of(self, bank_id: str, memory_id: str) -> wire.ClearMemoryObservationsResponse:
        """Remove those that rest on one fact."""
        return self._send(_clear_of(bank_id, memory_id))


class AsyncObservations:
    """As Observations, awaited."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def consolidate(self, bank_id: str, scopes: Scopes | None = None) -> wire.ConsolidationResponse:
        """Have made what is to be made; the operation tells of the end. scopes: of facts with all tags of one alone."""
        return await self._send(_consolidate(bank_id, scopes))

    async def recover(self, bank_id: str) -> wire.RecoverConsolidationResponse:
        """Try again what was given up on."""
        return await self._send(_recover(bank_id))

    async def list(self, bank_id: str, **page: Unpack[PageOptions]) -> wire.ListMemoryUnitsResponse:
        """A page of observations, newest first."""
        return await self._send(_list(bank_id, page))

    async def scopes(self, bank_id: str, **page: Unpack[PageOptions]) -> wire.ObservationScopesResponse:
        """Under which tags there are how many."""
        return await self._send(_scopes(bank_id, page))

    async def history(self, bank_id: str, memory_id: str) -> wire.MemoryHistoryResponse:
        """What one said before."""
        return await self._send(_history(bank_id, memory_id))

    async def clear(self, bank_id: str) -> wire.DeleteResponse:
        """Remove all; where the bank consolidates by itself, they are made anew."""
        return await self._send(_clear(bank_id))

    async def clear_of(self, bank_id: str, memory_id: str) -> wire.ClearMemoryObservationsResponse:
        """Remove those that rest on one fact."""
        return await self._send(_clear_of(bank_id, memory_id))


def _consolidate(bank_id: str, scopes: Scopes | None) -> Call[wire.ConsolidationResponse]:
    named = None if scopes is None else [[*scope] for scope in scopes]
    body = wire.ConsolidationRequest(operation_id=str(uuid.uuid4()), observation_scopes=named)
    return send_call(wire.ConsolidationResponse, "POST", bank_path(bank_id, "consolidate"), body)


def _recover(bank_id: str) -> Call[wire.RecoverConsolidationResponse]:
    path = bank_path(bank_id, "consolidation", "recover")
    return Call(Request("POST", path, body=b"{}"), wire.RecoverConsolidationResponse)


def _list(bank_id: str, page: PageOptions) -> Call[wire.ListMemoryUnitsResponse]:
    params = {**page, "type": "observation"}
    return get_call(wire.ListMemoryUnitsResponse, bank_path(bank_id, "memories", "list"), params)


def _scopes(bank_id: str, page: PageOptions) -> Call[wire.ObservationScopesResponse]:
    return get_call(wire.ObservationScopesResponse, bank_path(bank_id, "observations", "scopes"), page)


def _history(bank_id: str, memory_id: str) -> Call[wire.MemoryHistoryResponse]:
    return get_call(wire.MemoryHistoryResponse, bank_path(bank_id, "memories", memory_id, "history"))


def _clear(bank_id: str) -> Call[wire.DeleteResponse]:
    return Call(Request("DELETE", bank_path(bank_id, "observations")), wire.DeleteResponse)


def _clear_of(bank_id: str, memory_id: str) -> Call[wire.ClearMemoryObservationsResponse]:
    path = bank_path(bank_id, "memories", memory_id, "observations")
    return Call(Request("DELETE", path), wire.ClearMemoryObservationsResponse)
