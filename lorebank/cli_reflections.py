"""Command `reflection`: answers that were kept with `lorebank reflect --store`."""

from typing import Annotated

import typer
from rich.markdown import Markdown

from lorebank.cli_output import (
    DEFAULT,
    BankArgument,
    JsonOption,
    KeyOption,
    LimitOption,
    OffsetOption,
    UrlOption,
    YesOption,
    answer,
    confirm,
    console,
    one_line,
    print_json,
    say,
    session,
    short_time,
    table_of,
)

reflection_app = typer.Typer(no_args_is_help=True, help="Answers of reflect that were kept.")

ReflectionArgument = Annotated[str, typer.Argument(help="Id of the reflection.", show_default=False)]


@reflection_app.command("list")
def list_reflections(
    bank: BankArgument,
    limit: LimitOption = 100,
    offset: OffsetOption = 0,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the stored reflections of a bank, newest first."""
    with session(url, api_key) as client:
        page = client.reflections.list(bank, limit=limit, offset=offset)
    if json:
        print_json(page)
        return
    rows = [
        (row.id, short_time(row.created_at), row.mode or "", one_line(row.query, 80), one_line(row.text, 160))
        for row in page.items
    ]
    console().print(table_of(("reflection", "when", "mode", "question", "answer"), rows))
    console().print(f"{len(rows)} of {page.total}")


@reflection_app.command("show")
def show_reflection(
    bank: BankArgument,
    reflection: ReflectionArgument,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show a stored reflection with its evidence."""
    with session(url, api_key) as client:
        found = client.reflections.get(bank, reflection)
    if json:
        print_json(found)
        return
    say(f"{found.query} ({short_time(found.created_at)}, {found.mode}, rests on {found.sources} memories)")
    console().print(Markdown(found.text))
    facts = found.based_on.memories if found.based_on else []
    if facts:
        rows = [
            (short_time(fact.occurred_start or fact.mentioned_at), fact.speaker or "", one_line(fact.text))
            for fact in facts
        ]
        console().print(table_of(("when", "who", "evidence"), rows))


@reflection_app.command("delete")
def delete_reflection(
    bank: BankArgument,
    reflection: ReflectionArgument,
    yes: YesOption = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a stored reflection; what it rests on stays."""
    confirm(yes, f"Delete reflection {reflection} of bank {bank}?")
    with session(url, api_key) as client:
        said = client.reflections.delete(bank, reflection)
    answer(said, f"reflection {reflection} is deleted", json=json)
