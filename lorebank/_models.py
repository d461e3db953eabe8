"""Directives and mental models over a client: `client.directives`, `client.mental_models`."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypedDict, TypeVar, Unpack

from lorebank import _model_calls, wire
from lorebank._calls import Call
from lorebank._options import PageOptions
from lorebank.wire.fields import ResponseModel

AnswerT = TypeVar("AnswerT", bound=ResponseModel)


class Send(Protocol):
    """Sends a call and reads its answer."""

    def __call__(self, call: Call[AnswerT]) -> AnswerT:
        """The answer."""
        ...


class AsyncSend(Protocol):
    """As Send, awaited."""

    async def __call__(self, call: Call[AnswerT]) -> AnswerT:
        """The answer."""
        ...


class DirectiveOptions(TypedDict, total=False):
    """Of a directive beside its name and content."""

    priority: int
    is_active: bool
    tags: Sequence[str]
    operation_id: str


class DirectiveChanges(TypedDict, total=False):
    """Fields of a directive that are to be others."""

    name: str
    content: str
    priority: int
    is_active: bool
    tags: Sequence[str]


class ModelOptions(TypedDict, total=False):
    """Of a mental model beside its name and question."""

    id: str
    tags: Sequence[str]
    max_tokens: int
    trigger: Mapping[str, Any]
    operation_id: str


class ModelChanges(TypedDict, total=False):
    """Fields of a mental model that are to be others."""

    name: str
    source_query: str
    tags: Sequence[str]
    max_tokens: int
    trigger: Mapping[str, Any]


class Directives:
    """The rules of banks: `client.directives`. Raises what the client's methods raise."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def list(self, bank_id: str, **page: Unpack[PageOptions]) -> wire.DirectiveListResponse:
        """A page of directives, highest priority first."""
        return self._send(_model_calls.list_directives(bank_id, page))

    def create(
        self, bank_id: str, name: str, content: str, **fields: Unpack[DirectiveOptions]
    ) -> wire.DirectiveResponse:
        """A new directive; an unknown bank is created."""
        return self._send(_model_calls.create_directive(bank_id, name, content, fields))

    def update(self, bank_id: str, directive_id: str, **fields: Unpack[DirectiveChanges]) -> wire.DirectiveResponse:
        """Change the given fields."""
        return self._send(_model_calls.update_directive(bank_id, directive_id, fields))

    def delete(self, bank_id: str, directive_id: str) -> wire.DeleteResponse:
        """Delete one."""
        return self._send(_model_calls.delete_directive(bank_id, directive_id))


class MentalModels:
    """Standing questions with stored answers: `client.mental_models`. Raises what the client's methods raise."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def list(self, bank_id: str, **page: Unpack[PageOptions]) -> wire.MentalModelListResponse:
        """A page of mental models, newest first, without their contents."""
        return self._send(_model_calls.list_models(bank_id, page))

    def create(
        self, bank_id: str, name: str, source_query: str, **fields: Unpack[ModelOptions]
    ) -> wire.CreateMentalModelResponse:
        """A new mental model, whose content is made in the background; an unknown bank is created."""
        return self._send(_model_calls.create_model(bank_id, name, source_query, fields))

    def get(self, bank_id: str, model_id: str) -> wire.MentalModelResponse:
        """One with its content."""
        return self._send(_model_calls.get_model(bank_id, model_id))

    def update(self, bank_id: str, model_id: str, **fields: Unpack[ModelChanges]) -> wire.MentalModelResponse:
        """Change the given fields."""
        return self._send(_model_calls.update_model(bank_id, model_id, fields))

    def refresh(
        self, bank_id: str, model_id: str, mode: wire.RefreshMode | None = None
    ) -> wire.AsyncOperationSubmitResponse:
        """Have its content made anew in the background, or edited, as its trigger says."""
        return self._send(_model_calls.refresh_model(bank_id, model_id, mode))

    def dry_run(self, bank_id: str, model_id: str) -> wire.DryRunRefreshResponse:
        """What a refresh would make of it; nothing is stored."""
        return self._send(_model_calls.dry_run(bank_id, model_id))

    def history(self, bank_id: str, model_id: str) -> wire.MentalModelHistory:
        """Its earlier contents, the latest first."""
        return self._send(_model_calls.list_history(bank_id, model_id))

    def clear(self, bank_id: str, model_id: str) -> wire.MentalModelResponse:
        """Empty it; what it said stays in its history."""
        return self._send(_model_calls.clear_model(bank_id, model_id))

    def delete(self, bank_id: str, model_id: str) -> wire.DeleteResponse:
        """Delete it with its history."""
        return self._send(_model_calls.delete_model(bank_id, model_id))


class AsyncDirectives:
    """The rules of banks: `client.directives`. Raises what the client's methods raise."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def list(self, bank_id: str, **page: Unpack[PageOptions]) -> wire.DirectiveListResponse:
        """A page of directives, highest priority first."""
        return await self._send(_model_calls.list_directives(bank_id, page))

    async def create(
        self, bank_id: str, name: str, content: str, **fields: Unpack[DirectiveOptions]
    ) -> wire.DirectiveResponse:
        """A new directive; an unknown bank is created."""
        return await self._send(_model_calls.create_directive(bank_id, name, content, fields))

    async def update(
        self, bank_id: str, directive_id: str, **fields: Unpack[DirectiveChanges]
    ) -> wire.DirectiveResponse:
        """Change the given fields."""
        return await self._send(_model_calls.update_directive(bank_id, directive_id, fields))

    async def delete(self, bank_id: str, directive_id: str) -> wire.DeleteResponse:
        """Delete one."""
        return await self._send(_model_calls.delete_directive(bank_id, directive_id))


class AsyncMentalModels:
    """Standing questions with stored answers: `client.mental_models`. Raises what the client's methods raise."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def list(self, bank_id: str, **page: Unpack[PageOptions]) -> wire.MentalModelListResponse:
        """A page of mental models, newest first, without their contents."""
        return await self._send(_model_calls.list_models(bank_id, page))

    async def create(
        self, bank_id: str, name: str, source_query: str, **fields: Unpack[ModelOptions]
    ) -> wire.CreateMentalModelResponse:
        """A new mental model, whose content is made in the background; an unknown bank is created."""
        return await self._send(_model_calls.create_model(bank_id, name, source_query, fields))

    async def get(self, bank_id: str, model_id: str) -> wire.MentalModelResponse:
        """One with its content."""
        return await self._send(_model_calls.get_model(bank_id, model_id))

    async def update(self, bank_id: str, model_id: str, **fields: Unpack[ModelChanges]) -> wire.MentalModelResponse:
        """Change the given fields."""
        return await self._send(_model_calls.update_model(bank_id, model_id, fields))

    async def refresh(
        self, bank_id: str, model_id: str, mode: wire.RefreshMode | None = None
    ) -> wire.AsyncOperationSubmitResponse:
        """Have its content made anew in the background, or edited, as its trigger says."""
        return await self._send(_model_calls.refresh_model(bank_id, model_id, mode))

    async def dry_run(self, bank_id: str, model_id: str) -> wire.DryRunRefreshResponse:
        """What a refresh would make of it; nothing is stored."""
        return await self._send(_model_calls.dry_run(bank_id, model_id))

    async def history(self, bank_id: str, model_id: str) -> wire.MentalModelHistory:
        """Its earlier contents, the latest first."""
        return await self._send(_model_calls.list_history(bank_id, model_id))

    async def clear(self, bank_id: str, model_id: str) -> wire.MentalModelResponse:
        """Empty it; what it said stays in its history."""
        return await self._send(_model_calls.clear_model(bank_id, model_id))

    async def delete(self, bank_id: str, model_id: str) -> wire.DeleteResponse:
        """Delete it with its history."""
        return await self._send(_model_calls.delete_model(bank_id, model_id))
