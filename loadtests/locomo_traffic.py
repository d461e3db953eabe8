"""Writes conversations to banks over HTTP and asks their questions, timing every request."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any

from loadtests.dialogue import Conversation, Question, Session, dia_ids_in
from loadtests.floors import RecallFloor
from loadtests.scoring import Hit, Ranking, Scores, price_tokens, score
from loadtests.timed_connection import LoadError, TimedConnection, recall_path, retain_path
from lorebank import Client, wire

STUB_PATH = "/v1/_stub/recall"
"""Answers a recall's body with a constant, through the same ingress."""
REQUEST_ITEMS = 100
"""Turns in one retain, about: what a client that moves its history over would send."""
PATIENCE_S = 60.0
"""How long a refused retain is repeated."""
RECIPE_CLIENTS = 4
"""Clients that ask by another recipe at once."""
FACTS_WAIT_S = 240.0
"""How long the facts of what was retained are waited for."""
_WARM_UP_RECALLS = 10

Advance = Callable[[], None]
"""Called once for every request that is done, from any thread."""


@dataclass(frozen=True, slots=True)
class BankPlan:
    """A conversation, the bank it goes to, and the in-process floor of its recalls."""

    bank_id: str
    conversation: Conversation
    floor: RecallFloor


@dataclass(slots=True)
class RetainRun:
    """What the retains cost, waits after refusals included; `wall_s` is from the first sent to the last answered."""

    items: int = 0
    wall_s: float = 0.0
    refused: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(slots=True)
class RecallRun:
    """Scores by category in the order of the questions, and latencies of recall, stub and floor."""

    scored: list[tuple[int, Scores]] = field(default_factory=list)
    recall_ms: list[float] = field(default_factory=list)
    stub_ms: list[float] = field(default_factory=list)
    floor_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def retain_body(sessions: Sequence[Session], operation_id: str) -> dict[str, Any]:
    """One document a session, one item a turn, in order; blank turns cannot be stored and are left out."""
    return {
        "operation_id": operation_id,
        "items": [
            {
                "content": turn.text,
                **({"timestamp": turn.started_at.isoformat()} if turn.started_at else {}),
                "document_id": f"session-{session.number}",
                "metadata": {
                    **({"speaker": turn.speaker} if turn.speaker else {}),
                    **({"role": turn.role} if turn.role else {}),
                    "dia_id": turn.dia_id,
                },
            }
            for session in sessions
            for turn in session.turns
            if turn.text.strip()
        ],
    }


def retain_all(
    url: str, plans: Sequence[BankPlan], clients: int, advance: Advance, *, request_items: int = REQUEST_ITEMS
) -> RetainRun:
    """Whole sessions up to about `request_items` a request, `clients` at once; the banks take turns.

    `advance` is called once a session.
    """
    run = RetainRun()
    lock = threading.Lock()
    # Sharing the iterator is safe: in CPython a step of a list's iterator is atomic.
    waiting = iter(list(_by_turns(plans, request_items)))

    def work() -> None:
        with TimedConnection(url) as connection:
            for bank_id, sessions in waiting:
                body = retain_body(sessions, f"{bank_id}/{sessions[0].number}")
                try:
                    latency_ms = connection.post_ok(retain_path(bank_id), body, wait_s=PATIENCE_S).latency_ms
                except LoadError as error:
                    with lock:
                        run.failures.append(str(error))
                else:
                    with lock:
                        run.items += len(body["items"])
                        run.latencies_ms.append(latency_ms)
                for _ in sessions:
                    advance()
            with lock:
                run.refused += connection.refused

    started_s = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        for done in [threads.submit(work) for _ in range(clients)]:
            done.result()
    run.wall_s = time.perf_counter() - started_s
    return run


def recall_all(url: str, plans: Sequence[BankPlan], advance: Advance) -> RecallRun:
    """Every question once, by one client over one connection; stub, floor and recall take turns, so drift hits all."""
    run = RecallRun()
    with TimedConnection(url) as connection:
        stub = _warm_up(connection, plans)
        for plan in plans:
            path = recall_path(plan.bank_id)
            for question in plan.conversation.questions:
                body = recall_body(question)
                ranking: list[Hit] = []
                try:
                    if stub:
                        run.stub_ms.append(connection.post_ok(STUB_PATH, body).latency_ms)
                    run.floor_ms.append(plan.floor.measure_ms(question.text))
                    answer = connection.post_ok(path, body)
                    run.recall_ms.append(answer.latency_ms)
                    ranking = ranking_of(wire.RecallResponse.model_validate_json(answer.body))
                except (LoadError, ValueError) as error:
                    run.failures.append(str(error))
                run.scored.append((question.category, score(ranking, question.evidence)))
                advance()
    return run


def recall_as(
    url: str, plans: Sequence[BankPlan], recipe: str, advance: Advance, *, clients: int = RECIPE_CLIENTS
) -> RecallRun:
    """Every question once, ranked by the recipe of that name. Nothing is timed, so several clients ask at once."""
    asked = [(plan, question) for plan in plans for question in plan.conversation.questions]

    def work(first: int) -> list[tuple[Ranking, str | None]]:
        with TimedConnection(url) as connection:
            return [_ask(connection, plan, question, recipe, advance) for plan, question in asked[first::clients]]

    with ThreadPoolExecutor(clients) as threads:
        parts = list(threads.map(work, range(clients)))
    run = RecallRun()
    for number, (_, question) in enumerate(asked):
        ranking, failure = parts[number % clients][number // clients]
        run.scored.append((question.category, score(ranking, question.evidence)))
        run.failures.extend([failure] if failure else [])
    return run


def _ask(
    connection: TimedConnection, plan: BankPlan, question: Question, recipe: str, advance: Advance
) -> tuple[Ranking, str | None]:
    """What was found, or nothing and what went wrong."""
    try:
        answer = connection.post_ok(recall_path(plan.bank_id), recall_body(question) | {"recipe": recipe})
        return ranking_of(wire.RecallResponse.model_validate_json(answer.body)), None
    except (LoadError, ValueError) as error:
        return [], str(error)
    finally:
        advance()


def recall_body(question: Question) -> dict[str, Any]:
    """A recall with default settings, asked when the question was."""
    asked = {"query_timestamp": question.asked_at.isoformat()} if question.asked_at else {}
    return {"query": question.text, **asked}


def ranking_of(answer: wire.RecallResponse) -> list[Hit]:
    """The results as hits: their turns by metadata.dia_id, their price as of one line "[date] Speaker: text"."""
    return [
        Hit(dia_ids_in((result.metadata or {}).get("dia_id", "")), price_tokens(_line(result)))
        for result in answer.results
    ]


def line_of(date: str | None, speaker: str | None, text: str) -> str:
    """A turn as it would be shown to a reader."""
    return f"{f'[{date}] ' if date else ''}{f'{speaker}: ' if speaker else ''}{text}"


def _line(result: wire.RecallResult) -> str:
    instant = result.mentioned_at or result.occurred_start
    speaker = result.speaker or (result.metadata or {}).get("speaker")
    return line_of(instant[: len("2000-01-01")] if instant else None, speaker, result.text)


def _by_turns(plans: Sequence[BankPlan], request_items: int) -> Iterator[tuple[str, list[Session]]]:
    """First requests of all banks, then second ones, and so on; each bank gets its sessions about in order."""
    columns = ([(plan.bank_id, part) for part in _parts(plan.conversation.sessions, request_items)] for plan in plans)
    return (pair for pair in chain.from_iterable(zip_longest(*columns)) if pair is not None)


def _parts(sessions: Sequence[Session], request_items: int) -> Iterator[list[Session]]:
    """Sessions in order, as many to a part as hold about `request_items` turns; at least one."""
    part: list[Session] = []
    for session in sessions:
        if part and sum(len(each.turns) for each in part) + len(session.turns) > request_items:
            yield part
            part = []
        part.append(session)
    if part:
        yield part


def _warm_up(connection: TimedConnection, plans: Sequence[BankPlan]) -> bool:
    """Send a few requests that do not count; whether the server has a stub."""
    body = {"query": "Is anybody there?"}
    stub = connection.post(STUB_PATH, body).status == 200
    for plan in plans:
        for _ in range(_WARM_UP_RECALLS // len(plans) + 1):
            connection.post(recall_path(plan.bank_id), body)
            plan.floor.measure_ms(body["query"])
            if stub:
                connection.post(STUB_PATH, body)
    return stub


def wait_for_facts(client: Client, bank_ids: Sequence[str]) -> float:
    """Seconds until what is to be extracted from the banks' documents is; 0 where the server extracts nothing.

    Raises:
        LoadError: it was not done within FACTS_WAIT_S.
    """
    started_s = time.monotonic()
    waiting = list(bank_ids)
    while waiting := [bank for bank in waiting if any(mark.lag for mark in client.watermarks(bank).stages.values())]:
        if time.monotonic() - started_s > FACTS_WAIT_S:
            raise LoadError(f"facts were not found within {FACTS_WAIT_S:g} s")
        time.sleep(0.5)
    return time.monotonic() - started_s
