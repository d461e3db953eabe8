"""Commands that write and read memories: retain, recall, reflect."""

import sys
from pathlib import Path
from typing import Annotated, TypedDict, cast

import typer
from rich.markdown import Markdown
from rich.text import Text

from lorebank._options import RecallOptions, RetainOptions
from lorebank._tools import speaker_of, time_of
from lorebank.cli_output import (
    DEFAULT,
    EXIT_USAGE,
    BankArgument,
    JsonOption,
    KeyOption,
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
from lorebank.wire import BankScope, Budget, RecallResult, RecallType, ReflectIncludeOptions, Stage, TagsMatch


class _Places(TypedDict, total=False):
    banks: list[str]
    scope: BankScope


TagOption = Annotated[list[str] | None, typer.Option("--tag", help="A tag; repeat for more.")]


def retain(
    bank: BankArgument,
    text: Annotated[str | None, typer.Argument(help="What to remember; `-` reads stdin.", show_default=False)] = None,
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Read the text from a file.", dir_okay=False)
    ] = None,
    document_id: Annotated[str | None, typer.Option(help="Retaining the same id again replaces the document.")] = None,
    speaker: Annotated[str | None, typer.Option(help="Who says it.")] = None,
    timestamp: Annotated[str | None, typer.Option(help="When it happened, ISO 8601, or `unset`. Default: now.")] = None,
    context: Annotated[str | None, typer.Option(help="What the text is about.")] = None,
    tag: TagOption = None,
    meta: Annotated[list[str] | None, typer.Option("--meta", help="key=value; repeat for more.")] = None,
    wait_for: Annotated[Stage | None, typer.Option(help="Wait until this stage is reached.")] = None,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Remember a text: an argument, stdin or a file."""
    content = _read_content(text, file)
    metadata = dict(_key_and_value(pair) for pair in meta or [])
    if speaker is not None:
        metadata["speaker"] = speaker
    options = RetainOptions(
        document_id=document_id, timestamp=timestamp, context=context, tags=tag, metadata=metadata, wait_for=wait_for
    )
    with session(url, api_key) as client:
        receipt = client.retain(bank, content, **options)
    if json:
        print_json(receipt)
        return
    stage = receipt.stage or "accepted"
    say(f"{stage} in bank {bank}, operation {receipt.operation_id}")


def _read_content(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise fail("give a text, `-` for stdin, or --file", EXIT_USAGE)
    try:
        if file is not None:
            return file.read_text(encoding="utf-8")
        return sys.stdin.buffer.read().decode("utf-8") if text == "-" else text or ""
    except (OSError, UnicodeDecodeError) as error:
        raise fail(f"cannot read {file or 'stdin'}: {error}") from error


def _key_and_value(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not equals or not key:
        raise fail(f"--meta takes key=value, not {pair!r}", EXIT_USAGE)
    return key, value


def recall(
    bank: Annotated[str, typer.Argument(help="Id of the bank; left out with --bank or --host.", show_default=False)],
    query: Annotated[str | None, typer.Argument(help="What to look for.", show_default=False)] = None,
    more_banks: Annotated[
        list[str] | None, typer.Option("--bank", help="A bank to look in, the nearest first; repeat for more.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Look in the banks seen from this host ...")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="... by this agent of it ...")] = None,
    user: Annotated[str | None, typer.Option("--user", help="... and by this user.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many results at most.")] = 10,
    budget: Annotated[Budget, typer.Option(help="How many candidates to examine.")] = "mid",
    type_: Annotated[
        list[str] | None,
        typer.Option("--type", help="world, experience, observation or reflection; repeat for more."),
    ] = None,
    tag: TagOption = None,
    tags_match: Annotated[TagsMatch, typer.Option(help="How the tags must match.")] = "any",
    trace: Annotated[bool, typer.Option("--trace", help="With --json: say how each result was found.")] = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show the memories that answer a query, best first."""
    types = cast("list[RecallType] | None", type_)  # the wire model refuses any other
    options = RecallOptions(limit=limit, budget=budget, types=types, tags=tag, tags_match=tags_match, trace=trace)
    if more_banks is None and host is None:
        if query is None:
            raise fail("give a bank and what to look for, or --bank or --host", EXIT_USAGE)
        with session(url, api_key) as client:
            answer = client.recall(bank, query, **options)
    else:
        named = [*([bank] if query is not None else []), *(more_banks or [])]
        where = _stack_of(named, host, agent, user)
        with session(url, api_key) as client:
            answer = client.recall_stack(bank if query is None else query, **options, **where)
    if json:
        print_json(answer)
        return
    if answer.missing_banks:
        console().print(f"no such bank: {', '.join(answer.missing_banks)}", markup=False)
    if not answer.results:
        places = f"bank {bank}" if answer.banks is None else f"banks {', '.join(answer.banks) or '(none)'}"
        console().print(f"nothing found in {places}", markup=False)
    elif answer.banks is None:
        console().print(table_of(("score", "when", "who", "text"), [result_row(one) for one in answer.results]))
    else:
        rows = [(one.bank_id or "", *result_row(one)) for one in answer.results]
        console().print(table_of(("bank", "score", "when", "who", "text"), rows))


def _stack_of(banks: list[str], host: str | None, agent: str | None, user: str | None) -> _Places:
    """Which banks to look in: those named, or those seen from a scope."""
    if host is None:
        if agent is not None or user is not None:
            raise fail("--agent and --user need --host", EXIT_USAGE)
        return _Places(banks=banks)
    if banks:
        raise fail("give either banks or --host", EXIT_USAGE)
    return _Places(scope=BankScope(host=host, agent=agent, user=user))


def result_row(result: RecallResult) -> tuple[str | Text, str, str, str]:
    """Score, when, who and text of one result."""
    score = Text(f"{result.scores.final:.3f}" if result.scores else "", style="cyan")
    return score, short_time(time_of(result)), speaker_of(result) or "", one_line(result.text)


def reflect(
    bank: BankArgument,
    query: Annotated[str, typer.Argument(help="What to think about.", show_default=False)],
    budget: Annotated[Budget, typer.Option(help="How much to look at.")] = "low",
    tag: TagOption = None,
    evidence: Annotated[bool, typer.Option("--evidence", help="Show what the answer is based on.")] = False,
    store: Annotated[bool, typer.Option("--store", help="Keep the answer; see `lorebank reflection`.")] = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Answer a question in words, reasoned from the bank's memories."""
    include = ReflectIncludeOptions(facts={} if evidence else None)
    with session(url, api_key) as client:
        answer = client.reflect(bank, query, budget=budget, tags=tag, include=include, store=store)
    if json:
        print_json(answer)
        return
    console().print(Markdown(answer.text))
    if answer.reflection_id is not None:
        say(f"reflection {answer.reflection_id}")
    facts = answer.based_on.memories if answer.based_on else []
    if facts:
        rows = [
            (short_time(fact.occurred_start or fact.mentioned_at), fact.speaker or "", one_line(fact.text))
            for fact in facts
        ]
        console().print(table_of(("when", "who", "evidence"), rows))
