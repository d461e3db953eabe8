"""Operations: what was asked to be done, and how far it is."""

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from memory.commands import CancelOperation, DeleteOperation, RetryOperation
from memory.ids import Scope
from memory.records import Record
from serve_app.body import JsonRoute
from serve_app.ids_in_paths import PathId
from serve_app.request_context import BANK, Bank, Client, Offset, json_response, scan

router = APIRouter(route_class=JsonRoute, tags=["operations"])

OPERATIONS = BANK + "/operations"
OPERATION = OPERATIONS + "/{operation_id}"


@router.get(OPERATIONS, response_model=wire.OperationsListResponse)
async def list_operations(
    bank: Bank,
    client: Client,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Offset = 0,
    status: str | None = None,
    type: str | None = None,  # noqa: A002 - the wire's name
    exclude_parents: Annotated[bool, Query()] = False,
) -> Response:
    """A page of the bank's operations, newest first; a parent is one whose documents have operations of their own."""
    if type is None and not exclude_parents:
        page = await client.list_operations(bank, limit=limit, offset=offset, status=status)
        found, total = list(page.records), page.total
    else:
        kept, _ = await scan(
            lambda rows, start: _page(client, bank, status, rows, start),
            lambda record: (
                type in {None, record.body.get("task_type")} and not (exclude_parents and record.body.get("children"))
            ),
        )
        found, total = kept[offset : offset + limit], len(kept)
    rows = [_operation_row(record) for record in found]
    return json_response({"bank_id": bank.bank, "total": total, "limit": limit, "offset": offset, "operations": rows})


@router.get(OPERATION, response_model=wire.OperationStatusResponse)
async def get_operation(bank: Bank, client: Client, operation_id: PathId) -> Response:
    """State of one operation; `not_found` for an id nobody used."""
    record = await client.find_operation(bank, operation_id)
    if record is None:
        return json_response({"operation_id": operation_id, "status": "not_found"})
    row = _operation_row(record)
    documents = [
        {"document_id": document_id, "version": version, "seq": seq, "added": added, "kept": kept, "retired": retired}
        for document_id, version, seq, added, kept, retired, *_ in record.body.get("documents", ())
    ]
    return json_response(
        {
            **row,
            "completed_at": record.body.get("completed_at"),
            "result_metadata": {
                "items_count": row["items_count"],
                "seq": record.body.get("seq"),
                "documents": documents,
                "stages": record.body.get("stages"),
                "usage": record.body.get("usage"),
            },
            "child_operations": await _children(client, bank, record),
        }
    )


@router.delete(OPERATION, response_model=wire.CancelOperationResponse)
async def cancel_operation(bank: Bank, client: Client, operation_id: PathId) -> Response:
    """Cancel a pending or processing operation; 409 once it has ended."""
    await client.follow_operation(bank, CancelOperation(str(uuid.uuid4()), operation_id))
    return _done(operation_id, "cancelled")


@router.post(OPERATION + "/retry", response_model=wire.RetryOperationResponse)
async def retry_operation(bank: Bank, client: Client, operation_id: PathId) -> Response:
    """Have a failed or cancelled operation done again; 409 in any other state."""
    await client.follow_operation(bank, RetryOperation(str(uuid.uuid4()), operation_id))
    return _done(operation_id, "pending again")


@router.delete(OPERATION + "/delete", response_model=wire.CancelOperationResponse)
async def delete_operation(bank: Bank, client: Client, operation_id: PathId) -> Response:
    """Forget an operation that has ended; a retry under its id would be done anew."""
    await client.follow_operation(bank, DeleteOperation(str(uuid.uuid4()), operation_id))
    return _done(operation_id, "deleted")


def _done(operation_id: str, what: str) -> Response:
    return json_response(
        {"success": True, "message": f"operation {operation_id} is {what}", "operation_id": operation_id}
    )


async def _page(
    client: BankClient, bank: Scope, status: str | None, limit: int, offset: int
) -> tuple[list[Record], int]:
    page = await client.list_operations(bank, limit=limit, offset=offset, status=status)
    return list(page.records), page.total


async def _children(client: BankClient, bank: Scope, record: Record) -> list[dict[str, Any]]:
    """The stage work of each document that a retain accepted, where there is any."""
    children = []
    for index, operation_id in enumerate(record.body.get("children", ())):
        child = await client.find_operation(bank, operation_id)
        if child is not None:
            row = _operation_row(child)
            wanted = ("operation_id", "status", "items_count", "error_message")
            children.append({**{name: row[name] for name in wanted}, "sub_batch_index": index})
    return children


def _operation_row(record: Record) -> dict[str, Any]:
    body: Mapping[str, Any] = record.body
    documents = body.get("documents", ())
    return {
        "id": record.key,
        "operation_id": record.key,
        "task_type": body["task_type"],
        "operation_type": body["task_type"],
        "items_count": body.get("items_count", 0),
        "document_id": body.get("document_id") or (documents[0][0] if len(documents) == 1 else None),
        "created_at": body["created_at"],
        "updated_at": body.get("updated_at") or body.get("completed_at") or body["created_at"],
        "status": body["status"],
        "error_message": body.get("error_message"),
        "retry_count": body.get("retry_count", 0),
        "next_retry_at": body.get("next_retry_at"),
        "progress": body.get("progress"),
    }
