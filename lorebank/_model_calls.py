"""Calls on directives and mental models: what each sends, and what its answer is read as."""

import uuid
from collections.abc import Mapping
from typing import Any

from lorebank import wire
from lorebank._calls import Call, bank_path, get_call, send_call
from lorebank._transport import Request


def list_directives(bank_id: str, params: Mapping[str, Any]) -> Call[wire.DirectiveListResponse]:
    """A page of directives."""
    return get_call(wire.DirectiveListResponse, bank_path(bank_id, "directives"), params)


def create_directive(bank_id: str, name: str, content: str, fields: Mapping[str, Any]) -> Call[wire.DirectiveResponse]:
    """A new directive; always with an operation id, so that a retry makes no second one."""
    given = {"operation_id": str(uuid.uuid4()), **fields, "name": name, "content": content}
    body = wire.CreateDirectiveRequest.model_validate(given)
    return send_call(wire.DirectiveResponse, "POST", bank_path(bank_id, "directives"), body)


def update_directive(bank_id: str, directive_id: str, fields: Mapping[str, Any]) -> Call[wire.DirectiveResponse]:
    """Other fields for a directive."""
    body = wire.UpdateDirectiveRequest.model_validate(dict(fields))
    return send_call(wire.DirectiveResponse, "PATCH", bank_path(bank_id, "directives", directive_id), body)


def delete_directive(bank_id: str, directive_id: str) -> Call[wire.DeleteResponse]:
    """The end of a directive."""
    return Call(Request("DELETE", bank_path(bank_id, "directives", directive_id)), wire.DeleteResponse)


def list_models(bank_id: str, params: Mapping[str, Any]) -> Call[wire.MentalModelListResponse]:
    """A page of mental models."""
    return get_call(wire.MentalModelListResponse, bank_path(bank_id, "mental-models"), params)


def create_model(
    bank_id: str, name: str, source_query: str, fields: Mapping[str, Any]
) -> Call[wire.CreateMentalModelResponse]:
    """A new mental model; always with an operation id, so that a retry makes no second one."""
    given = {"operation_id": str(uuid.uuid4()), **fields, "name": name, "source_query": source_query}
    body = wire.CreateMentalModelRequest.model_validate(given)
    return send_call(wire.CreateMentalModelResponse, "POST", bank_path(bank_id, "mental-models"), body)


def get_model(bank_id: str, model_id: str) -> Call[wire.MentalModelResponse]:
    """One mental model."""
    return get_call(wire.MentalModelResponse, bank_path(bank_id, "mental-models", model_id))


def update_model(bank_id: str, model_id: str, fields: Mapping[str, Any]) -> Call[wire.MentalModelResponse]:
    """Other fields for a mental model."""
    body = wire.UpdateMentalModelRequest.model_validate(dict(fields))
    return send_call(wire.MentalModelResponse, "PATCH", bank_path(bank_id, "mental-models", model_id), body)


def refresh_model(
    bank_id: str, model_id: str, mode: wire.RefreshMode | None
) -> Call[wire.AsyncOperationSubmitResponse]:
    """A refresh of a mental model."""
    path = bank_path(bank_id, "mental-models", model_id, "refresh")
    body = wire.RefreshMentalModelRequest.model_validate({} if mode is None else {"mode": mode})
    return send_call(wire.AsyncOperationSubmitResponse, "POST", path, body)


def dry_run(bank_id: str, model_id: str) -> Call[wire.DryRunRefreshResponse]:
    """What a refresh would make; it costs what a refresh costs, so it is not sent twice by itself."""
    path = bank_path(bank_id, "mental-models", model_id, "dry-run-refresh")
    return Call(Request("POST", path, body=b"{}", once=True), wire.DryRunRefreshResponse)


def list_history(bank_id: str, model_id: str) -> Call[wire.MentalModelHistory]:
    """Earlier contents."""
    return get_call(wire.MentalModelHistory, bank_path(bank_id, "mental-models", model_id, "history"))


def clear_model(bank_id: str, model_id: str) -> Call[wire.MentalModelResponse]:
    """The end of a mental model's content."""
    path = bank_path(bank_id, "mental-models", model_id, "clear")
    return Call(Request("POST", path, body=b"{}"), wire.MentalModelResponse)


def delete_model(bank_id: str, model_id: str) -> Call[wire.DeleteResponse]:
    """The end of a mental model."""
    return Call(Request("DELETE", bank_path(bank_id, "mental-models", model_id)), wire.DeleteResponse)
