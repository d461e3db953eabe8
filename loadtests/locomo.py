"""Measures retrieval quality and speed on a LoCoMo file: `python -m loadtests.locomo FILE.ndjson`."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loadtests.arguments import ConversationsArgument, LimitConversationsOption, OwnServerOption, UrlOption
from loadtests.baselines import order_by_fusion, order_by_score, order_by_z_fusion, score_by_bm25
from loadtests.dialogue import Conversation, Session, read_conversations
from loadtests.entry import start
from loadtests.floors import RecallFloor, core_count, measure_embedder, product_embedder
from loadtests.locomo_report import (
    BASELINES,
    BM25,
    DENSE,
    PRODUCT,
    RRF,
    Z_FUSION,
    LocomoReport,
    print_report,
    report_console,
)
from loadtests.locomo_traffic import (
    REQUEST_ITEMS,
    BankPlan,
    RecallRun,
    RetainRun,
    line_of,
    recall_all,
    recall_as,
    retain_all,
    wait_for_facts,
)
from loadtests.own_server import server_at
from loadtests.percentiles import Percentiles
from loadtests.scoring import ALL, Hit, Scores, mean_scores, price_tokens, score
from lorebank import DEFAULT_URL, Client
from memory.ports import Embedder
from memory.recipes import DEFAULT, RECIPES

WARM_UP_SESSIONS = 8
"""Sessions of each conversation that are retained before the clock runs, in banks of their own."""

Scored = list[tuple[int, Scores]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocomoOptions:
    """How a run is made."""

    retain_clients: int = 8
    request_items: int = REQUEST_ITEMS
    keep_banks: bool = False
    recipes: tuple[str, ...] = ()
    """Asked for by name after the default one."""


def measure(
    file: str, conversations: Sequence[Conversation], server: AbstractContextManager[str], options: LocomoOptions
) -> LocomoReport:
    """Floors and baselines first, while nothing else runs; then the server, entered and left here.

    Raises:
        LorebankError: banks could not be deleted.
        ModelUnusable: the embedder could not be loaded.
        ServerNotStartedError: a server of our own did not start.
    """
    embedders = [product_embedder() for _ in range(core_count())]
    with _progress() as progress:
        step = progress.add_task("bare embedder", total=1)
        texts = [turn.text for conversation in conversations for turn in conversation.turns if turn.text.strip()]
        embedder_floor = measure_embedder(texts, embedders)
        progress.advance(step)
        step = progress.add_task("baselines", total=len(conversations))
        scored: dict[str, Scored] = {name: [] for name in BASELINES}
        floors: list[RecallFloor] = []
        for conversation in conversations:
            floors.append(_rank_baselines(conversation, embedders[0], scored))
            progress.advance(step)
    with server as url:
        retained, recalled, by_recipe = _drive(url, conversations, floors, options)
    scored |= {name: run.scored for name, run in by_recipe.items()}
    means = {PRODUCT: mean_scores(recalled.scored), **{name: mean_scores(one) for name, one in scored.items()}}
    return LocomoReport(
        file=file,
        conversations=len(conversations),
        items=retained.items,
        questions=_counts(recalled.scored),
        scores=means,
        embedder=embedder_floor,
        retain_clients=options.retain_clients,
        request_items=options.request_items,
        retain_items_per_s=retained.items / retained.wall_s,
        retain_refused=retained.refused,
        retain=Percentiles.find(retained.latencies_ms),
        recall=Percentiles.find(recalled.recall_ms),
        stub=Percentiles.find(recalled.stub_ms),
        floor=Percentiles.find(recalled.floor_ms),
        failures=[
            *retained.failures,
            *recalled.failures,
            *(failure for run in by_recipe.values() for failure in run.failures),
        ],
    )


def _rank_baselines(conversation: Conversation, embedder: Embedder, scored: dict[str, Scored]) -> RecallFloor:
    """Add the baselines' scores of every question; gives the floor over the same vectors."""
    turns = conversation.turns
    documents = [line_of(None, turn.who, turn.text) for turn in turns]
    dates = [turn.started_at.date().isoformat() if turn.started_at else None for turn in turns]
    hits = [
        Hit((turn.dia_id,), price_tokens(line_of(date, turn.who, turn.text)))
        for turn, date in zip(turns, dates, strict=True)
    ]
    queries = [question.text for question in conversation.questions]
    vectors = embedder.embed(documents)
    words, cosines = score_by_bm25(documents, queries), embedder.embed(queries) @ vectors.T
    bm25, dense = order_by_score(words), order_by_score(cosines)
    fused = order_by_z_fusion([(0.4, words), (0.6, cosines)])
    for name, orders in ((BM25, bm25), (DENSE, dense), (RRF, order_by_fusion([bm25, dense])), (Z_FUSION, fused)):
        for question, order in zip(conversation.questions, orders, strict=True):
            ranking = [hits[index] for index in order]
            scored[name].append((question.category, score(ranking, question.evidence)))
    return RecallFloor(embedder, np.ascontiguousarray(vectors))


def _drive(
    url: str, conversations: Sequence[Conversation], floors: Sequence[RecallFloor], options: LocomoOptions
) -> tuple[RetainRun, RecallRun, dict[str, RecallRun]]:
    run_id = uuid.uuid4().hex[:8]
    plans = [
        BankPlan(f"locomo-{run_id}-{conversation.conversation_id}", conversation, floor)
        for conversation, floor in zip(conversations, floors, strict=True)
    ]
    scratch = [
        BankPlan(f"{plan.bank_id}-warm-up", replace(plan.conversation, sessions=_first(plan)), plan.floor)
        for plan in plans
    ]
    with Client(url) as client:
        client.ready()
        try:
            with _progress() as progress:
                sessions = sum(len(conversation.sessions) for conversation in conversations)
                # The embedder's floor is taken warm, so the server's workers see texts before the clock runs, too.
                retain_all(url, scratch, options.retain_clients, lambda: None, request_items=options.request_items)
                step = progress.add_task("retain sessions", total=sessions)
                retained = retain_all(
                    url,
                    plans,
                    options.retain_clients,
                    lambda: progress.advance(step),
                    request_items=options.request_items,
                )
                everywhere = [plan.bank_id for plan in (*scratch, *plans)]
                questions = sum(len(conversation.questions) for conversation in conversations)
                asked = progress.add_task("recall questions", total=questions)
                progress.console.print(f"facts found {wait_for_facts(client, everywhere):.1f} s after the last retain")
                recalled = recall_all(url, plans, lambda: progress.advance(asked))
                by_recipe: dict[str, RecallRun] = {}
                for recipe in options.recipes:
                    step = progress.add_task(recipe, total=questions)
                    by_recipe[recipe] = recall_as(url, plans, recipe, partial(progress.advance, step))
        finally:
            for plan in scratch:
                client.delete_bank(plan.bank_id)
            if not options.keep_banks:
                for plan in plans:
                    client.delete_bank(plan.bank_id)
    return retained, recalled, by_recipe


def _first(plan: BankPlan) -> tuple[Session, ...]:
    return plan.conversation.sessions[:WARM_UP_SESSIONS]


def _counts(scored: Scored) -> dict[str, int]:
    """Questions by category, and of all."""
    numbers = [str(category) for category, _ in scored]
    return {ALL: len(numbers), **{number: numbers.count(number) for number in sorted(set(numbers))}}


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress


def main(
    file: ConversationsArgument,
    *,
    url: UrlOption = DEFAULT_URL,
    own_server: OwnServerOption = False,
    concurrency: Annotated[int, typer.Option(min=1, help="clients that retain at once")] = 8,
    request_items: Annotated[int, typer.Option(min=1, help="turns in one retain, about")] = REQUEST_ITEMS,
    json_out: Annotated[Path | None, typer.Option("--json", help="write all figures here")] = None,
    limit_conversations: LimitConversationsOption = None,
    with_captions: Annotated[bool, typer.Option("--with-captions", help="captions of images in the texts")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="do not delete the banks")] = False,
    ablate: Annotated[bool, typer.Option("--ablate", help="ask again with each signal left out")] = False,
    recipe: Annotated[list[str] | None, typer.Option("--recipe", help="ask again by this recipe")] = None,
) -> None:
    """Retain a LoCoMo file, recall its questions, and compare with baselines and floors of the same run."""
    started_s = time.perf_counter()
    conversations = read_conversations(file, limit=limit_conversations, captions=with_captions)
    recipes = tuple(name for name in RECIPES if name != DEFAULT.name) if ablate else tuple(recipe or ())
    options = LocomoOptions(retain_clients=concurrency, request_items=request_items, keep_banks=keep, recipes=recipes)
    report = measure(file.name, conversations, server_at(None if own_server else url), options)
    console = report_console()
    print_report(report, console)
    console.print(f"took {time.perf_counter() - started_s:.0f} s")
    if json_out is not None:
        json_out.write_bytes(orjson.dumps(report.to_json(), option=orjson.OPT_INDENT_2))
    if report.failures or report.recall is None:
        raise typer.Exit(1)


if __name__ == "__main__":
    start(main)
