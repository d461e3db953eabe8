"""Commands `session`: open, append, list, show, close and delete live conversations."""

import sys
from typing import Annotated

import typer

from lorebank._options import MessageInput, SessionOptions, SessionPageOptions
from lorebank.cli_output import (
    DEFAULT,
    EXIT_USAGE,
    BankArgument,
    JsonOption,
    KeyOption,
    LimitOption,
    OffsetOption,
    UrlOption,
    YesOption,
    confirm,
    console,
    fail,
    print_json,
    say,
    session,
    short_time,
    table_of,
)
from lorebank.wire import SessionResponse, SessionState

session_app = typer.Typer(no_args_is_help=True, help="Live conversations: open, append, list, show, close, delete.")

SessionArgument = Annotated[str, typer.Argument(help="Id of the session.", show_default=False)]


@session_app.command("open")
def open_session(
    bank: BankArgument,
    session_id: Annotated[str | None, typer.Option("--id", help="Its id. Default: a new one.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag of all its turns; repeat for more.")] = None,
    context: Annotated[str | None, typer.Option(help="What it is about.")] = None,
    idle_ttl_s: Annotated[
        float | None, typer.Option(min=0.001, help="Close it after so many seconds without a turn.")
    ] = None,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Open a session."""
    options = SessionOptions(session_id=session_id, tags=tag, context=context, idle_ttl_s=idle_ttl_s)
    with session(url, api_key) as client:
        _print_session(client.open_session(bank, **options), as_json=json)


@session_app.command("append")
def append_turns(
    bank: BankArgument,
    session_id: SessionArgument,
    text: Annotated[list[str], typer.Argument(help="One turn each; `-` reads stdin, a turn a line.")],
    speaker: Annotated[str | None, typer.Option(help="Who says it.")] = None,
    role: Annotated[str, typer.Option(help="user, assistant, tool ...")] = "user",
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Append turns to a session, all in one call."""
    turns = [line for line in sys.stdin.read().splitlines() if line.strip()] if text == ["-"] else text
    if not turns:
        raise fail("there is no turn to append", EXIT_USAGE)
    named = {"name": speaker} if speaker else {}
    messages: list[MessageInput] = [{"role": role, "content": turn, **named} for turn in turns]
    with session(url, api_key) as client:
        receipt = client.append_turns(bank, session_id, messages)
    if json:
        print_json(receipt)
        return
    last = receipt.turns - 1
    say(f"turns {receipt.first_turn} to {last} of session {session_id}")


@session_app.command("list")
def list_sessions(
    bank: BankArgument,
    status: Annotated[SessionState | None, typer.Option(help="Only open or closed ones.")] = None,
    limit: LimitOption = 100,
    offset: OffsetOption = 0,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the sessions of a bank, last appended to first."""
    options = SessionPageOptions(limit=limit, offset=offset)
    if status is not None:
        options["status"] = status
    with session(url, api_key) as client:
        page = client.list_sessions(bank, **options)
    if json:
        print_json(page)
        return
    rows = [
        (row.session_id, row.state, str(row.turns), short_time(row.last_at), short_time(row.expires_at))
        for row in page.items
    ]
    console().print(table_of(("session", "state", "turns", "last turn", "expires"), rows))
    console().print(f"{len(rows)} of {page.total}")


@session_app.command("show")
def show_session(
    bank: BankArgument,
    session_id: SessionArgument,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show a session; `lorebank document get` prints what was said in it."""
    with session(url, api_key) as client:
        _print_session(client.get_session(bank, session_id), as_json=json)


@session_app.command("close")
def close_session(
    bank: BankArgument,
    session_id: SessionArgument,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Close a session; what was said stays."""
    with session(url, api_key) as client:
        _print_session(client.close_session(bank, session_id), as_json=json)


@session_app.command("delete")
def delete_session(
    bank: BankArgument,
    session_id: SessionArgument,
    keep_memory: Annotated[bool, typer.Option("--keep-memory", help="Delete the session, keep what was said.")] = False,
    yes: YesOption = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a session with all that was said in it."""
    confirm(yes or keep_memory, f"Delete session {session_id} of bank {bank} with all that was said?")
    with session(url, api_key) as client:
        answer = client.delete_session(bank, session_id, keep_memory=keep_memory)
    if json:
        print_json(answer)
    else:
        console().print(f"session {session_id} is deleted with {answer.memory_units_deleted} units", markup=False)


def _print_session(found: SessionResponse, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    state = found.state if found.closed_by is None else f"{found.state} by {found.closed_by}"
    rows = [
        ("session", found.session_id),
        ("state", state),
        ("turns", str(found.turns)),
        ("last turn", short_time(found.last_at)),
        ("expires", short_time(found.expires_at)),
        ("tags", ", ".join(found.tags)),
    ]
    console().print(table_of(("", "value"), rows))
