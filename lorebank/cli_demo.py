"""Command `demo`: retains a short dialogue, asks it questions, and checks that the right turns are found."""

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

from lorebank._client import Client
from lorebank._tools import speaker_of, time_of
from lorebank.cli_output import (
    DEFAULT,
    JsonOption,
    KeyOption,
    UrlOption,
    console,
    error_console,
    fail,
    one_line,
    print_json,
    session,
    short_time,
    table_of,
)
from lorebank.own_server import OwnServer, ServerNotStartedError, ended_by_sigterm, free_port, up_command
from lorebank.transcripts import BadLine, Transcript, read_transcripts
from lorebank.wire import RecallResult

BANK = "lorebank-demo"
RANKS = 3
"""The expected turn must be among this many first results."""
STANDING_QUESTION = "What should I know about Jonas before I bake him a cake?"


@dataclass(frozen=True, slots=True)
class Question:
    """A question and words that only the turn with its answer holds."""

    text: str
    answer: str


QUESTIONS = (
    Question("Where did Nadia sign the lease for her studio?", "lease for the old bakery on Linden Square"),
    Question("Which nuts make Jonas's throat swell?", "Hazelnuts. One bite and my throat swells up"),
    Question("Who gives Nadia lessons in glazing?", "Mrs. Okafor from the art college"),
    Question("Why did Jonas fail the practical sailing test?", "failed the practical test"),
    Question("How many kilos does the kiln weigh, and what is its name?", "we have named it Bertha"),
    Question("Which island does Jonas sail to with his new licence?", "the island of Samsø"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What recall answered to one question: its results, their rank of the expected turn (0: absent), the time."""

    question: Question
    results: list[RecallResult]
    rank: int
    took_ms: float

    @property
    def ok(self) -> bool:
        """Whether the expected turn is among the first RANKS results."""
        return 1 <= self.rank <= RANKS


def demo_transcripts() -> list[Transcript]:
    """The dialogue that ships with this package.

    Raises:
        ValueError: the file is damaged.
    """
    lines = files("lorebank").joinpath("demo_dialogue.ndjson").read_bytes().splitlines()
    read = list(read_transcripts(lines))
    bad = [str(one) for one in read if isinstance(one, BadLine)]
    if bad:
        raise ValueError(f"demo_dialogue.ndjson: {'; '.join(bad)}")
    return [one for one in read if isinstance(one, Transcript)]


def demo(
    own_server: Annotated[
        bool, typer.Option("--own-server", help="Start a server for this, with a temporary directory, and stop it.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help=f"Do not delete the bank {BANK} at the end.")] = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Retain a short dialogue, ask six questions, and check that recall finds the right turns."""
    out = error_console() if json else console()
    where = _own_server(out) if own_server else contextlib.nullcontext(url)
    with where as server_url, session(server_url, api_key) as client:
        outcomes, reflection = _run(client, out)
        if not keep:
            client.delete_bank(BANK)
    if json:
        print_json({"questions": [_as_row(outcome) for outcome in outcomes], "reflection": reflection})
    found = sum(outcome.ok for outcome in outcomes)
    out.print(_summary(outcomes))
    if found < len(outcomes):
        raise fail(f"{len(outcomes) - found} of {len(outcomes)} expected turns are not among the first {RANKS}")
    out.print(Text(f"all {found} expected turns are among the first {RANKS} results", style="bold green"))


def _run(client: Client, out: Console) -> tuple[list[Outcome], str]:
    transcripts = demo_transcripts()
    turns = sum(len(transcript.messages or []) for transcript in transcripts)
    started_s = time.perf_counter()
    client.retain_many(BANK, [transcript.to_item() for transcript in transcripts])
    took_ms = (time.perf_counter() - started_s) * 1000
    out.print(f"retained {turns} turns of {len(transcripts)} sessions in {took_ms:.0f} ms\n")
    outcomes = []
    for question in QUESTIONS:
        outcome = _ask(client, question)
        _show(outcome, out)
        outcomes.append(outcome)
    answer = client.reflect(BANK, STANDING_QUESTION)
    out.print(Text(f"reflect: {STANDING_QUESTION}", style="bold"))
    out.print(Markdown(answer.text))
    return outcomes, answer.text


def _ask(client: Client, question: Question) -> Outcome:
    started_s = time.perf_counter()
    results = client.recall(BANK, question.text, limit=10).results
    took_ms = (time.perf_counter() - started_s) * 1000
    rank = next((rank for rank, result in enumerate(results, 1) if question.answer in result.text), 0)
    return Outcome(question, results, rank, took_ms)


def _show(outcome: Outcome, out: Console) -> None:
    out.print(Text(outcome.question.text, style="bold"))
    if not outcome.results:
        out.print(f"  nothing found ({outcome.took_ms:.0f} ms)\n")
        return
    best = outcome.results[0]
    who = speaker_of(best) or "someone"
    score = f"score {best.scores.final:.3f}, " if best.scores else ""
    out.print(Text(f"  {who}, {short_time(time_of(best))}: {one_line(best.text)}"))
    out.print(Text(f"  {score}{outcome.took_ms:.0f} ms\n", style="dim"))


def _summary(outcomes: list[Outcome]) -> object:
    rows = [
        (
            Text("ok", style="green") if outcome.ok else Text("no", style="red"),
            str(outcome.rank or "-"),
            f"{outcome.took_ms:.0f}",
            outcome.question.text,
        )
        for outcome in outcomes
    ]
    return table_of(("found", "rank", "ms", "question"), rows, title="Is the turn with the answer near the top?")


def _as_row(outcome: Outcome) -> dict[str, object]:
    best = outcome.results[0].to_wire() if outcome.results else None
    return {"question": outcome.question.text, "expected": outcome.question.answer, "rank": outcome.rank,
            "ok": outcome.ok, "took_ms": round(outcome.took_ms, 1), "best": best}  # fmt: skip


@contextlib.contextmanager
def _own_server(out: Console) -> Iterator[str]:
    """URL of a server that lives as long as the block, with a directory that is removed with it.

    Raises:
        typer.Exit: it could not be started.
    """
    data = Path(tempfile.mkdtemp(prefix="lorebank-demo-"))
    try:
        with ended_by_sigterm(), contextlib.ExitStack() as stack:
            started_s = time.perf_counter()
            with out.status("starting a server …") as status:
                server = OwnServer(up_command(free_port(), data), _shown_in(status.update))
                try:
                    stack.enter_context(server)
                except ServerNotStartedError as error:
                    raise fail(str(error)) from error
            out.print(f"server ready at {server.url} after {time.perf_counter() - started_s:.1f} s")
            yield server.url
            with out.status("stopping the server …"):
                server.stop()
    finally:
        shutil.rmtree(data)


def _shown_in(update: Callable[[str], None]) -> Callable[[str], None]:
    def show(line: str) -> None:
        update(f"starting a server … {Text(one_line(line, 80)).markup}")

    return show
