"""Commands `operation`: what became of what was asked; and of `bank`: its events and how far its stages are."""

from typing import Annotated

import typer

from lorebank._options import OperationPageOptions
from lorebank.cli_banks import bank_app
from lorebank.cli_output import (
    DEFAULT,
    EXIT_FAILED,
    BankArgument,
    JsonOption,
    KeyOption,
    LimitOption,
    OffsetOption,
    UrlOption,
    console,
    fail,
    one_line,
    print_json,
    say,
    session,
    short_time,
    table_of,
)
from lorebank.wire import OperationStatus

operation_app = typer.Typer(no_args_is_help=True, help="Operations of a bank: list, show, cancel, retry, delete.")

OperationArgument = Annotated[str, typer.Argument(help="Id of the operation.", show_default=False)]


@operation_app.command("list")
def list_operations(
    bank: BankArgument,
    status: Annotated[OperationStatus | None, typer.Option(help="Only those in this state.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Only those of this type, such as retain.")] = None,
    limit: LimitOption = 20,
    offset: OffsetOption = 0,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the operations of a bank, newest first."""
    options = OperationPageOptions(limit=limit, offset=offset)
    if status is not None:
        options["status"] = status
    if kind is not None:
        options["type"] = kind
    with session(url, api_key) as client:
        page = client.list_operations(bank, **options)
    if json:
        print_json(page)
        return
    rows = [
        (row.id, row.task_type, row.status, short_time(row.created_at), one_line(row.error_message or ""))
        for row in page.operations
    ]
    console().print(table_of(("operation", "type", "state", "created", "reason"), rows))
    console().print(f"{len(rows)} of {page.total}")


@operation_app.command("show")
def show_operation(
    bank: BankArgument,
    operation_id: OperationArgument,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show an operation with its parts."""
    with session(url, api_key) as client:
        found = client.get_operation(bank, operation_id)
    if found.status == "not_found":
        raise fail(f"bank {bank} has no operation {operation_id}", EXIT_FAILED)
    if json:
        print_json(found)
        return
    rows = [
        ("operation", found.operation_id),
        ("type", found.task_type or ""),
        ("state", found.status),
        ("created", short_time(found.created_at)),
        ("completed", short_time(found.completed_at)),
        ("reason", one_line(found.error_message or "")),
        *((f"part {part.operation_id}", part.status) for part in found.child_operations or ()),
    ]
    console().print(table_of(("", "value"), rows))


@operation_app.command("cancel")
def cancel_operation(
    bank: BankArgument, operation_id: OperationArgument, url: UrlOption = DEFAULT, api_key: KeyOption = None
) -> None:
    """Cancel what is left of an operation."""
    with session(url, api_key) as client:
        client.cancel_operation(bank, operation_id)
    say(f"operation {operation_id} is cancelled")


@operation_app.command("retry")
def retry_operation(
    bank: BankArgument, operation_id: OperationArgument, url: UrlOption = DEFAULT, api_key: KeyOption = None
) -> None:
    """Have a failed or cancelled operation done again."""
    with session(url, api_key) as client:
        client.retry_operation(bank, operation_id)
    say(f"operation {operation_id} is pending again")


@operation_app.command("delete")
def delete_operation(
    bank: BankArgument, operation_id: OperationArgument, url: UrlOption = DEFAULT, api_key: KeyOption = None
) -> None:
    """Forget an operation that has ended; what it did stays."""
    with session(url, api_key) as client:
        client.delete_operation(bank, operation_id)
    say(f"operation {operation_id} is forgotten")


@bank_app.command("events")
def list_events(
    bank: BankArgument,
    after: Annotated[int, typer.Option(min=0, help="Only those after this commit.")] = 0,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List what happened in a bank, oldest first."""
    with session(url, api_key) as client:
        page = client.list_events(bank, after=after)
    if json:
        print_json(page)
        return
    rows = [(str(item.commit), item.type, item.operation_id, short_time(item.at)) for item in page.items]
    console().print(table_of(("commit", "event", "operation", "at"), rows))
    console().print(f"last commit: {page.last}{'; earlier ones are no longer kept' if page.missed else ''}")


@bank_app.command("watermarks")
def show_watermarks(
    bank: BankArgument, url: UrlOption = DEFAULT, api_key: KeyOption = None, json: JsonOption = False
) -> None:
    """Show how far each stage of a bank is behind what was accepted."""
    with session(url, api_key) as client:
        marks = client.watermarks(bank)
    if json:
        print_json(marks)
        return
    rows = [
        (stage, str(mark.watermark), str(mark.lag), str(mark.pending), str(mark.failed_count))
        for stage, mark in marks.stages.items()
    ]
    console().print(table_of(("stage", "watermark", "lag", "pending", "failed"), rows))
    console().print(f"accepted: {marks.accepted}")
