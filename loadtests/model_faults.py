"""Extraction by a language model that fails, is away, or is slow: `python -m loadtests.model_faults`.

Servers and the model's endpoint are its own; it ends by itself.
"""

import statistics
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from loadtests.entry import start
from loadtests.own_server import own_server
from loadtests.percentiles import Percentiles
from loadtests.scripted_model import ScriptedModel, scripted_model
from loadtests.timed_connection import LoadError, TimedConnection, recall_path, retain_path
from loadtests.workload import Fact, Workload
from lorebank import Client, wire

PATIENCE_S = 60.0
"""How long a refused request is repeated."""
EXTRACTED_WITHIN_S = 900.0
POLL_S = 0.02
RETRIES = 5
"""How often documents that were given up on are asked for again."""
REQUEST_DOCUMENTS = 50
PAGE = 100
ROUNDS = 5
LATENCY_S = 0.5
_WARM_UP = 20
CALLS = {"LOREBANK_LLM_CALL_S": "5", "LOREBANK_LLM_DEADLINE_S": "120"}
"""A call that hangs is given up after 5 s, so that a run ends."""

Pair = tuple[Fact, Fact]
"""What a document holds, a turn each."""


@dataclass(slots=True)
class FaultRun:
    """What became of documents whose extraction went through an endpoint that fails."""

    documents: int
    seconds: float = 0.0
    given_up: list[int] = field(default_factory=list)
    """Documents that were given up on, after each round of retries."""
    facts: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    calls: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class OutageRun:
    """Milliseconds of retains beside an endpoint that is away and on a server without one; then the recovery."""

    away_ms: list[float] = field(default_factory=list)
    without_ms: list[float] = field(default_factory=list)
    first_after_s: float = 0.0
    """From the endpoint's return to the first document that is extracted."""
    all_after_s: float = 0.0
    waited: int = 0
    """Documents that waited for the endpoint."""

    @property
    def ratio(self) -> float:
        """95th percentile beside the endpoint that is away, in those without one."""
        return Percentiles.of(self.away_ms).p95_ms / Percentiles.of(self.without_ms).p95_ms


@dataclass(slots=True)
class SlowRun:
    """For each document: seconds from the call that retains it until recall finds it, and until its facts are there."""

    found_s: list[float] = field(default_factory=list)
    extracted_s: list[float] = field(default_factory=list)

    @property
    def shares(self) -> list[float]:
        """The first in the second."""
        return [found / extracted for found, extracted in zip(self.found_s, self.extracted_s, strict=True)]


def run_faults(url: str, model: ScriptedModel, bank_ids: Sequence[str], documents: int) -> FaultRun:
    """Retain documents of two sentences each, wait for their facts, and compare them with what was told.

    Raises:
        LoadError: a request failed, or extraction did not end.
    """
    run = FaultRun(documents)
    started_s = time.monotonic()
    told: dict[tuple[str, str], Pair] = {}
    with TimedConnection(url) as connection, Client(url) as client:
        for number, bank_id in enumerate(bank_ids):
            workload = Workload(seed=11, stream=number, bank_ids=[bank_id])
            count = documents // len(bank_ids) + (number < documents % len(bank_ids))
            for first in range(0, count, REQUEST_DOCUMENTS):
                size = min(REQUEST_DOCUMENTS, count - first)
                documents_told = {_document_id(facts): facts for facts in (_two(workload) for _ in range(size))}
                told |= {(bank_id, key): facts for key, facts in documents_told.items()}
                items = [_item(facts) for facts in documents_told.values()]
                connection.post_ok(retain_path(bank_id), {"items": items}, wait_s=PATIENCE_S)
        wait_until_extracted(client, bank_ids)
        for _ in range(RETRIES):
            failed = [(bank_id, one) for bank_id in bank_ids for one in _failed_operations(client, bank_id)]
            run.given_up.append(len(failed))
            if not failed:
                break
            for bank_id, operation in failed:
                client.retry_operation(bank_id, operation)
            wait_until_extracted(client, bank_ids)
        run.seconds = time.monotonic() - started_s
        found = Counter(fact for bank_id in bank_ids for fact in _facts(client, bank_id))
    expected = Counter((*key, fact.text) for key, facts in told.items() for fact in facts)
    run.facts = found.total()
    run.lost = [" ".join(fact) for fact in (expected - found).elements()]
    run.doubled = [" ".join(fact) for fact in (found - expected).elements()]
    run.calls = model.counts()
    return run


def run_outage(url: str, without_url: str, model: ScriptedModel, requests: int) -> OutageRun:
    """Retain by turns on a server whose endpoint is away and on one that has none, then bring the endpoint back.

    Raises:
        LoadError: a request failed, or extraction did not end.
    """
    run = OutageRun()
    bank_id = _new_bank("outage")
    model.behave(down=True)
    with TimedConnection(url) as away, TimedConnection(without_url) as without, Client(url) as client:
        asked = ((away, Workload(21, 0, [bank_id]), run.away_ms), (without, Workload(21, 1, [bank_id]), run.without_ms))
        for connection, workload, _ in asked:
            _retain(connection, bank_id, workload, _WARM_UP)
        for _ in range(ROUNDS):
            for connection, workload, taken_ms in asked:
                taken_ms.extend(_retain(connection, bank_id, workload, requests // ROUNDS))
        run.waited = _pending(client, bank_id)
        if run.waited != _WARM_UP + len(run.away_ms):
            raise LoadError(f"{run.waited} documents wait for an endpoint that was away all the time")
        model.behave(down=False)
        back_s = time.monotonic()
        while _pending(client, bank_id) == run.waited:
            if time.monotonic() - back_s > EXTRACTED_WITHIN_S:
                raise LoadError("nothing is extracted after the endpoint came back")
            time.sleep(POLL_S)
        run.first_after_s = time.monotonic() - back_s
        wait_until_extracted(client, [bank_id])
        run.all_after_s = time.monotonic() - back_s
        facts = sum(1 for _ in _facts(client, bank_id))
        if facts != 2 * run.waited:
            raise LoadError(f"{facts} facts of {2 * run.waited} after the endpoint came back")
    return run


def run_slow(url: str, model: ScriptedModel, documents: int) -> SlowRun:
    """One document after the other, recalled at once; what is extracted from it is waited for afterwards.

    Raises:
        LoadError: a request failed, or extraction did not end.
    """
    run = SlowRun()
    bank_id = _new_bank("slow")
    model.behave(latency_s=LATENCY_S)
    workload = Workload(31, 0, [bank_id])
    with TimedConnection(url) as connection, Client(url) as client:
        for _ in range(_WARM_UP):
            _retain(connection, bank_id, workload, 1)
            connection.post_ok(recall_path(bank_id), {"query": workload.next_fact().question})
        wait_until_extracted(client, [bank_id])
        for _ in range(documents):
            facts = _two(workload)
            called_s = time.monotonic()
            connection.post_ok(retain_path(bank_id), {"items": [_item(facts)]})
            while not _is_found(connection, bank_id, facts):
                if time.monotonic() - called_s > PATIENCE_S:
                    raise LoadError(f"{facts[0].text!r} is not found")
            run.found_s.append(time.monotonic() - called_s)
            while _pending(client, bank_id):
                if time.monotonic() - called_s > PATIENCE_S:
                    raise LoadError(f"{facts[0].text!r} is not extracted")
                time.sleep(POLL_S)
            run.extracted_s.append(time.monotonic() - called_s)
    model.behave(latency_s=0.0)
    return run


def wait_until_extracted(client: Client, bank_ids: Sequence[str]) -> None:
    """Until nothing waits for extraction.

    Raises:
        LoadError: it took longer than EXTRACTED_WITHIN_S.
    """
    until_s = time.monotonic() + EXTRACTED_WITHIN_S
    waiting = list(bank_ids)
    while waiting := [bank_id for bank_id in waiting if _pending(client, bank_id)]:
        if time.monotonic() > until_s:
            raise LoadError(f"facts of {len(waiting)} banks were not found within {EXTRACTED_WITHIN_S:g} s")
        time.sleep(0.2)


def _new_bank(name: str) -> str:
    return f"model-{name}-{uuid.uuid4().hex[:8]}"


def _two(workload: Workload) -> Pair:
    return workload.next_fact(), workload.next_fact()


def _document_id(facts: Pair) -> str:
    return f"note-{facts[0].code}"


def _item(facts: Pair) -> dict[str, object]:
    turns = [{"role": "user", "name": fact.speaker, "content": fact.text} for fact in facts]
    return {"document_id": _document_id(facts), "content": turns}


def _retain(connection: TimedConnection, bank_id: str, workload: Workload, count: int) -> list[float]:
    """Milliseconds of each request with one document."""
    items = [_item(_two(workload)) for _ in range(count)]
    return [connection.post_ok(retain_path(bank_id), {"items": [item]}, wait_s=PATIENCE_S).latency_ms for item in items]


def _pending(client: Client, bank_id: str) -> int:
    return sum(mark.pending for mark in client.watermarks(bank_id).stages.values())


def _failed_operations(client: Client, bank_id: str) -> list[str]:
    page = client.list_operations(bank_id, status="failed", limit=100)
    return [operation.id for operation in page.operations]


def _facts(client: Client, bank_id: str) -> Sequence[tuple[str, str, str]]:
    """Bank, document and text of each fact."""
    facts: list[tuple[str, str, str]] = []
    offset, total = 0, 1
    while offset < total:
        page = client.list_memories(bank_id, limit=PAGE, offset=offset)
        facts += [(bank_id, row.document_id or "", row.text) for row in page.items if row.kind == "fact"]
        offset, total = offset + PAGE, page.total
    return facts


def _is_found(connection: TimedConnection, bank_id: str, facts: Pair) -> bool:
    answer = connection.post_ok(recall_path(bank_id), {"query": facts[0].text})
    results = wire.RecallResponse.model_validate_json(answer.body).results
    return any(result.document_id == _document_id(facts) for result in results)


def print_faults(run: FaultRun, console: Console) -> None:
    """What was lost or doubled, and what it took."""
    table = Table("an endpoint that fails", "")
    table.add_row("documents", str(run.documents))
    table.add_row("seconds until all are extracted", f"{run.seconds:.0f}")
    table.add_row("given up on, and after each retry by hand", " ".join(map(str, run.given_up)))
    table.add_row("facts", str(run.facts))
    table.add_row("lost", str(len(run.lost)))
    table.add_row("twice, or never told", str(len(run.doubled)))
    calls = run.calls.get("calls", 0)
    faults = {
        kind: count for kind, count in run.calls.items() if kind not in {"calls", "good"} and "_tokens" not in kind
    }
    table.add_row("calls", f"{calls}, of which {sum(faults.values())} failed")
    table.add_row("kinds of failure", ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items())))
    console.print(table)


def print_outage(run: OutageRun, console: Console) -> None:
    """Both retains, their ratio, and the recovery."""
    table = Table("an endpoint that is away", "")
    table.add_row("retain, endpoint away", str(Percentiles.of(run.away_ms)))
    table.add_row("retain, no language model", str(Percentiles.of(run.without_ms)))
    table.add_row("p95 away / p95 without", f"{run.ratio:.2f}")
    table.add_row("documents that waited", str(run.waited))
    table.add_row("first extracted after its return", f"{run.first_after_s:.1f} s")
    table.add_row("all extracted after its return", f"{run.all_after_s:.1f} s")
    console.print(table)


def print_slow(run: SlowRun, console: Console) -> None:
    """Both times, and the first as a share of the second."""
    table = Table(f"an endpoint that takes {LATENCY_S * 1000:.0f} ms", "")
    table.add_row("retain called until recalled", str(Percentiles.of([1000 * each for each in run.found_s])))
    table.add_row("retain called until extracted", str(Percentiles.of([1000 * each for each in run.extracted_s])))
    table.add_row("the first in the second, median", f"{statistics.median(run.shares):.3f}")
    table.add_row("the first in the second, worst", f"{max(run.shares):.3f}")
    console.print(table)


def main(
    *,
    documents: Annotated[int, typer.Option(min=1, help="documents that pass an endpoint that fails")] = 2000,
    banks: Annotated[int, typer.Option(min=1, help="banks that they are in")] = 20,
    fault_rate: Annotated[float, typer.Option(min=0, max=0.9, help="share of calls that fail, all kinds alike")] = 0.2,
    requests: Annotated[int, typer.Option(min=ROUNDS, help="retains of each kind while the endpoint is away")] = 300,
    slow_documents: Annotated[int, typer.Option(min=1, help="documents that pass a slow endpoint")] = 30,
) -> None:
    """Measure extraction by a language model that fails, is away, and is slow."""
    console = Console()
    bank_ids = [_new_bank(f"faults-{number}") for number in range(banks)]
    with scripted_model(fault_rate) as model, own_server({**model.settings, **CALLS}) as url:
        faults = run_faults(url, model, bank_ids, documents)
        print_faults(faults, console)
        model.behave(rates={})
        print_slow(run_slow(url, model, slow_documents), console)
        with own_server({"LOREBANK_LLM_BASE_URL": "", "LOREBANK_LLM_MODEL": ""}) as without_url:
            outage = run_outage(url, without_url, model, requests)
        print_outage(outage, console)
    if faults.lost or faults.doubled or faults.given_up[-1:] != [0]:
        raise typer.Exit(1)


if __name__ == "__main__":
    start(main)
