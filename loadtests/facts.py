"""Measures what facts change in recall: `python -m loadtests.facts FILE.ndjson`.

The same conversations go to banks that extract and to banks that do not; once all facts are found, every question is
asked of both. Differences by category come with a 95 % interval of a paired bootstrap over the questions.
"""

import uuid
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from loadtests.arguments import ConversationsArgument, LimitConversationsOption, OwnServerOption, UrlOption
from loadtests.dialogue import read_conversations
from loadtests.entry import start
from loadtests.floors import RecallFloor, product_embedder
from loadtests.locomo_report import report_console
from loadtests.locomo_traffic import BankPlan, RecallRun, recall_as, retain_all, wait_for_facts
from loadtests.own_server import server_at
from loadtests.scoring import ALL
from loadtests.timed_connection import LoadError
from lorebank import DEFAULT_URL, Client, wire
from memory.recipes import DEFAULT

METRICS = ("R@5", "R@10", "nDCG@10", "T@512")
SAMPLES = 2000
SEED = 7
MODES: tuple[wire.ExtractionMode, ...] = ("concise", "chunks")
CLIENTS = 8


def bootstrap(differences: NDArray[np.float64], samples: int = SAMPLES) -> tuple[float, float, float]:
    """Mean of paired differences, float64, (n,), and the ends of its 95 % interval."""
    random = np.random.default_rng(SEED)
    picked = random.integers(0, len(differences), (samples, len(differences)))
    means = differences[picked].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(differences.mean()), float(low), float(high)


def compare(without: RecallRun, with_: RecallRun, metric: str) -> dict[str, tuple[float, float, float, float]]:
    """By category: the metric without facts, and the difference that they make with its interval."""
    found: dict[str, tuple[float, float, float, float]] = {}
    for group in (ALL, *sorted({str(category) for category, _ in without.scored})):
        pairs = [
            (before[metric], after[metric])
            for (category, before), (_, after) in zip(without.scored, with_.scored, strict=True)
            if group in {ALL, str(category)}
        ]
        columns = np.array(pairs, dtype=np.float64)
        found[group] = float(columns[:, 0].mean()), *bootstrap(columns[:, 1] - columns[:, 0])
    return found


def main(
    file: ConversationsArgument,
    *,
    url: UrlOption = DEFAULT_URL,
    own_server: OwnServerOption = False,
    limit_conversations: LimitConversationsOption = None,
) -> None:
    """Ask every question of banks with facts and of banks without."""
    conversations = read_conversations(file, limit=limit_conversations, captions=False)
    floor = RecallFloor(product_embedder(), np.zeros((1, 1), dtype=np.float32))
    run_id = uuid.uuid4().hex[:8]
    plans = {
        mode: [BankPlan(f"facts-{run_id}-{mode}-{one.conversation_id}", one, floor) for one in conversations]
        for mode in MODES
    }
    console = report_console()
    with server_at(None if own_server else url) as address, Client(address) as client:
        client.ready()
        try:
            for mode, banks in plans.items():
                for plan in banks:
                    client.put_bank(plan.bank_id, retain_extraction_mode=mode)
                retain_all(address, banks, CLIENTS, lambda: None)
            waited_s = wait_for_facts(client, [plan.bank_id for plan in plans["concise"]])
            facts = count_facts(client, plans["concise"])
            console.print(f"{facts} facts found {waited_s:.1f} s after the last retain was answered")
            runs = {mode: recall_as(address, banks, DEFAULT.name, lambda: None) for mode, banks in plans.items()}
        finally:
            for banks in plans.values():
                for plan in banks:
                    client.delete_bank(plan.bank_id)
    failures = [failure for run in runs.values() for failure in run.failures]
    if failures:
        raise LoadError(failures[0])
    console.print(differences_table("facts on, beside chunks alone", partial(compare, runs["chunks"], runs["concise"])))


def count_facts(client: Client, banks: Sequence[BankPlan]) -> int:
    """How many facts the banks hold."""
    rows = [client.list_memories(plan.bank_id, limit=1).total for plan in banks]
    return sum(rows) - sum(sum(bool(turn.text.strip()) for turn in plan.conversation.turns) for plan in banks)


def differences_table(title: str, compared: partial[dict[str, tuple[float, float, float, float]]]) -> Table:
    """A metric and its difference, by category; compared: as `compare`, given a metric."""
    table = Table(title=f"{title}: difference in points (95 % interval)")
    table.add_column("category")
    columns = [compared(metric) for metric in METRICS]
    for metric in METRICS:
        table.add_column(metric, justify="right")
    for group in columns[0]:
        cells = [
            f"{100 * before:.1f} {100 * mean:+.1f} ({100 * low:+.1f} … {100 * high:+.1f})"
            for before, mean, low, high in (column[group] for column in columns)
        ]
        table.add_row(group, *cells)
    return table


if __name__ == "__main__":
    start(main)
