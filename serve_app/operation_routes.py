"""Operations: what was asked to be done, and how far it is."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from memory.ids import Scope
from memory.records import Record
from serve_app.body import JsonRoute
from serve_app.ids_in_paths import PathId
from serve_app.request_context import BANK, Bank, Client, Offset, json_response, scan

router = APIRouter(route_class=JsonRoute, tags=["operations"])


@router.get(BANK + "/operations", response_model=wire.OperationsListResponse)
async def list_operations(
    bank: Bank,
    client: Client,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Offset = 0,
    status: str | None = None,
    type: str | None = None,  # noqa: A002 - the wire's name
) -> Response:
    """A page of the bank's operations, newest first."""
    if type is None:
        page = await client.list_operations(bank, limit=limit, offset=offset, status=status)
        found, total = list(page.records), page.total
    else:
        kept, _ = await scan(
            lambda rows, start: _page(client, bank, status, rows, start),
            lambda record: record.body.get("task_type") == type,
        )
        found, total = kept[offset : offset + limit], len(kept)
    rows = [_operation_row(record) for record in found]
    return json_response({"bank_id": bank.bank, "total": total, "limit": limit, "offset": offset, "operations": rows})


@router.get(BANK + "/operations/{operation_id}", response_model=wire.OperationStatusResponse)
async def get_operation(bank: Bank, client: Client, operation_id: PathId) -> Response:
    """State of one operation; `not_found` for an id nobody used."""
    record = await client.find_operation(bank, operation_id)
    if record is None:
        return json_response({"operation_id": operation_id, "status": "not_found"})
    row = _operation_row(record)
    documents = [
        {"document_id": document_id, "version": version, "seq": seq, "added": added, "kept": kept, "retired": retired}
        for document_id, version, seq, added, kept, retired in record.body.get("documents", ())
    ]
    return json_response(
        {
            **row,
            "completed_at": record.body.get("completed_at"),
            "result_metadata": {
                "items_count": row["items_count"],
                "seq": record.body.get("seq"),
                "documents": documents,
            },
            "child_operations": [],
        }
    )


async def _page(
    client: BankClient, bank: Scope, status: str | None, limit: int, offset: int
) -> tuple[list[Record], int]:
    page = await client.list_operations(bank, limit=limit, offset=offset, status=status)
    return list(page.records), page.total


def _operation_row(record: Record) -> dict[str, Any]:
    body: Mapping[str, Any] = record.body
    documents = body.get("documents", ())
    return {
        "id": record.key,
        "operation_id": record.key,
        "task_type": body["task_type"],
        "operation_type": body["task_type"],
        "items_count": body.get("items_count", 0),
        "document_id": documents[0][0] if len(documents) == 1 else None,
        "created_at": body["created_at"],
        "updated_at": body.get("completed_at") or body["created_at"],
        "status": body["status"],
        "error_message": body.get("error_message"),
        "retry_count": 0,
        "next_retry_at": None,
        "progress": None,
    }
