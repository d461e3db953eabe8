"""Commands `directive` and `model`: the rules that reflect follows, and standing questions with stored answers."""

from typing import Annotated, Any

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
from lorebank.wire import RefreshMode

directive_app = typer.Typer(no_args_is_help=True, help="Rules that reflect follows before everything else.")
model_app = typer.Typer(no_args_is_help=True, help="Mental models: standing questions with stored answers.")

TagOption = Annotated[list[str] | None, typer.Option("--tag", help="A tag; repeat for more.")]
DirectiveArgument = Annotated[str, typer.Argument(help="Id of the directive.", show_default=False)]
ModelArgument = Annotated[str, typer.Argument(help="Id of the mental model.", show_default=False)]


@directive_app.command("list")
def list_directives(
    bank: BankArgument,
    limit: LimitOption = 100,
    offset: OffsetOption = 0,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the directives of a bank, highest priority first."""
    with session(url, api_key) as client:
        page = client.directives.list(bank, limit=limit, offset=offset)
    if json:
        print_json(page)
        return
    rows = [
        (
            row.id,
            row.name,
            str(row.priority),
            "yes" if row.is_active else "no",
            ", ".join(row.tags),
            one_line(row.content),
        )
        for row in page.items
    ]
    console().print(table_of(("directive", "name", "priority", "active", "tags", "rule"), rows))
    console().print(f"{len(rows)} of {page.total}")


@directive_app.command("add")
def add_directive(
    bank: BankArgument,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    content: Annotated[str, typer.Argument(help="The rule.")],
    priority: Annotated[int, typer.Option(help="Higher ones come first.")] = 0,
    tag: TagOption = None,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Add a directive."""
    with session(url, api_key) as client:
        made = client.directives.create(bank, name, content, priority=priority, tags=tag or [])
    answer(made, f"directive {made.id}", json=json)


@directive_app.command("set")
def set_directive(
    bank: BankArgument,
    directive: DirectiveArgument,
    content: Annotated[str | None, typer.Option(help="Another rule.")] = None,
    priority: Annotated[int | None, typer.Option(help="Another priority.")] = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Whether it holds.")] = None,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Change a directive."""
    given: dict[str, Any] = {"content": content, "priority": priority, "is_active": active}
    with session(url, api_key) as client:
        changed = client.directives.update(
            bank, directive, **{key: val for key, val in given.items() if val is not None}
        )
    answer(changed, f"directive {directive} is changed", json=json)


@directive_app.command("delete")
def delete_directive(
    bank: BankArgument,
    directive: DirectiveArgument,
    yes: YesOption = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a directive."""
    confirm(yes, f"Delete directive {directive} of bank {bank}?")
    with session(url, api_key) as client:
        deleted = client.directives.delete(bank, directive)
    answer(deleted, f"directive {directive} is deleted", json=json)


@model_app.command("list")
def list_models(
    bank: BankArgument,
    limit: LimitOption = 100,
    offset: OffsetOption = 0,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """List the mental models of a bank, newest first."""
    with session(url, api_key) as client:
        page = client.mental_models.list(bank, limit=limit, offset=offset)
    if json:
        print_json(page)
        return
    rows = [
        (row.id, row.name, str(row.version), "yes" if row.is_stale else "no", short_time(row.last_refreshed_at or ""))
        for row in page.items
    ]
    console().print(table_of(("model", "name", "version", "stale", "refreshed"), rows))
    console().print(f"{len(rows)} of {page.total}")


@model_app.command("add")
def add_model(
    bank: BankArgument,
    name: Annotated[str, typer.Argument(help="What it is called.")],
    question: Annotated[str, typer.Argument(help="The standing question.")],
    model_id: Annotated[str | None, typer.Option("--id", help="Its id: lower case, digits, hyphens.")] = None,
    tag: TagOption = None,
    mode: Annotated[RefreshMode, typer.Option(help="How it is refreshed by itself.")] = "full",
    follow: Annotated[bool, typer.Option("--follow", help="Refresh it when new evidence has come.")] = False,
    cron: Annotated[str | None, typer.Option(help="Refresh it at these times (five fields, UTC).")] = None,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Add a mental model; its content is made in the background."""
    trigger: dict[str, Any] = {"mode": mode, "refresh_after_consolidation": follow}
    if cron is not None:
        trigger["refresh_cron"] = cron
    with session(url, api_key) as client:
        given: dict[str, Any] = {"id": model_id} if model_id is not None else {}
        made = client.mental_models.create(bank, name, question, tags=tag or [], trigger=trigger, **given)
    answer(made, f"model {made.mental_model_id}, refreshing under operation {made.operation_id}", json=json)


@model_app.command("show")
def show_model(
    bank: BankArgument,
    model: ModelArgument,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show a mental model with its content."""
    with session(url, api_key) as client:
        found = client.mental_models.get(bank, model)
    if json:
        print_json(found)
        return
    stale = ", stale" if found.is_stale else ""
    say(f"{found.name}: {found.source_query} (version {found.version}{stale})")
    if found.failure:
        say(f"the last refresh failed: {found.failure}")
    console().print(Markdown(found.content or "It has no content yet."))


@model_app.command("refresh")
def refresh_model(
    bank: BankArgument,
    model: ModelArgument,
    full: Annotated[bool, typer.Option("--full", help="Make it anew, whatever its trigger says.")] = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Have a mental model refreshed in the background."""
    with session(url, api_key) as client:
        queued = client.mental_models.refresh(bank, model, "full" if full else None)
    answer(queued, f"refreshing under operation {queued.operation_id}", json=json)


@model_app.command("set")
def set_model(
    bank: BankArgument,
    model: ModelArgument,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    question: Annotated[str | None, typer.Option(help="Another standing question.")] = None,
    mode: Annotated[RefreshMode | None, typer.Option(help="How it is refreshed by itself.")] = None,
    follow: Annotated[bool | None, typer.Option("--follow/--no-follow", help="Refresh it with its evidence.")] = None,
    cron: Annotated[str | None, typer.Option(help="Refresh it at these times (five fields, UTC).")] = None,
    least: Annotated[int | None, typer.Option("--min-interval-s", min=0, help="Between two refreshes.")] = None,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Change a mental model; what is not given stays."""
    given: dict[str, Any] = {"name": name, "source_query": question}
    told: dict[str, Any] = {"mode": mode, "refresh_after_consolidation": follow, "refresh_cron": cron}
    told["min_refresh_interval_seconds"] = least
    told = {key: value for key, value in told.items() if value is not None}
    with session(url, api_key) as client:
        if told:
            given["trigger"] = (client.mental_models.get(bank, model).trigger or {}) | told
        changes = {key: value for key, value in given.items() if value is not None}
        changed = client.mental_models.update(bank, model, **changes)
    answer(changed, f"model {model} is changed", json=json)


@model_app.command("dry-run")
def dry_run_model(
    bank: BankArgument,
    model: ModelArgument,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a refresh would change; it costs what a refresh costs."""
    with session(url, api_key) as client:
        preview = client.mental_models.dry_run(bank, model)
    answer(preview, preview.diff or "nothing would change", json=json)


@model_app.command("history")
def show_history(
    bank: BankArgument,
    model: ModelArgument,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show the earlier contents of a mental model, the latest first."""
    with session(url, api_key) as client:
        history = client.mental_models.history(bank, model)
    if json:
        print_json(history)
        return
    rows = [(str(one.version), short_time(one.changed_at), one_line(one.previous_content)) for one in history.items]
    console().print(table_of(("version", "replaced", "content"), rows))


@model_app.command("clear")
def clear_model(
    bank: BankArgument,
    model: ModelArgument,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Empty a mental model; what it said stays in its history."""
    with session(url, api_key) as client:
        cleared = client.mental_models.clear(bank, model)
    answer(cleared, f"model {model} is empty", json=json)


@model_app.command("delete")
def delete_model(
    bank: BankArgument,
    model: ModelArgument,
    yes: YesOption = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a mental model with its history."""
    confirm(yes, f"Delete mental model {model} of bank {bank}?")
    with session(url, api_key) as client:
        deleted = client.mental_models.delete(bank, model)
    answer(deleted, f"model {model} is deleted", json=json)
