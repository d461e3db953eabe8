"""What a LoCoMo run measured, its ratios and targets, as rich tables and as JSON."""

import dataclasses
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from loadtests.floors import EmbedderFloor
from loadtests.percentiles import Percentiles
from loadtests.scoring import ALL, METRICS

PRODUCT = "lorebank"
BM25 = "BM25"
DENSE = "dense"
RRF = "RRF of both"
Z_FUSION = "z-fusion of both"
BASELINES = (BM25, DENSE, RRF, Z_FUSION)

FILE_COLUMNS = 120
"""Width of what is written to a file or a pipe."""

CATEGORY_NAMES: Mapping[str, str] = {
    ALL: "all questions",
    "1": "1 multi-hop",
    "2": "2 temporal",
    "3": "3 open-domain",
    "4": "4 single-hop",
}

MethodScores = dict[str, dict[str, float]]
"""Category, then metric, then mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocomoReport:
    """One run; a part that could not be measured is None, and `failures` says why."""

    file: str
    conversations: int
    items: int
    questions: dict[str, int]
    scores: dict[str, MethodScores]
    embedder: EmbedderFloor
    retain_clients: int
    request_items: int
    retain_items_per_s: float
    retain_refused: int
    retain: Percentiles | None
    recall: Percentiles | None
    stub: Percentiles | None
    floor: Percentiles | None
    failures: list[str]

    @property
    def retain_ratio(self) -> float:
        """Retain throughput over the bare embedder's best."""
        return self.retain_items_per_s / self.embedder.best_texts_per_s

    @property
    def recall_ratio(self) -> float | None:
        """Recall's median over those of floor and stub together."""
        if self.recall is None or self.stub is None or self.floor is None:
            return None
        return self.recall.p50_ms / (self.floor.p50_ms + self.stub.p50_ms)

    def gain(self, metric: str) -> float:
        """The product's mean over that of the best baseline."""
        best = max(scores[ALL][metric] for method, scores in self.scores.items() if method in BASELINES)
        return self.scores[PRODUCT][ALL][metric] / best

    def to_json(self) -> dict[str, Any]:
        """All figures, with the ratios."""
        ratios = {"retain_ratio": self.retain_ratio, "recall_ratio": self.recall_ratio}
        return {**dataclasses.asdict(self), **ratios}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ratio and its target: `at_least` or, if not, at most."""

    name: str
    ratio: float | None
    target: float
    at_least: bool

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if the ratio was not measured."""
        if self.ratio is None:
            return None
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target

    def cells(self) -> tuple[str, str, str, str]:
        """Name, ratio, target and verdict as text."""
        verdict = {True: "met", False: "missed", None: "not measured"}[self.met]
        found = "-" if self.ratio is None else f"{self.ratio:.2f}"
        return self.name, found, f"{'≥' if self.at_least else '≤'} {self.target:.2f}", verdict


def verdicts(report: LocomoReport) -> list[Verdict]:
    """The run against the targets, all of them ratios, so that they hold on any machine."""
    return [
        Verdict("evidence recall@10 / best baseline", report.gain("R@10"), 1.09, at_least=True),
        Verdict("nDCG@10 / best baseline", report.gain("nDCG@10"), 1.05, at_least=True),
        Verdict("retain items/s / bare embedder texts/s", report.retain_ratio, 0.7, at_least=True),
        Verdict("recall p50 / (embed-and-search floor + HTTP stub)", report.recall_ratio, 2.0, at_least=False),
    ]


def quality_rows(report: LocomoReport) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """For each category: its heading, and a row of percentages for each method."""
    for category, name in CATEGORY_NAMES.items():
        if category in report.questions:
            rows = [
                (method, [f"{100 * scores[category][metric]:.1f}" for metric in METRICS])
                for method, scores in report.scores.items()
            ]
            yield f"{name} ({report.questions[category]})", rows


def speed_rows(report: LocomoReport) -> list[tuple[str, str]]:
    """Name and figures of everything that was timed."""

    def shown(value: Percentiles | None) -> str:
        return "not measured" if value is None else str(value)

    bare = report.embedder
    return [
        (f"retain, {report.retain_clients} clients, about {report.request_items} items each", shown(report.retain)),
        ("retain throughput", f"{report.retain_items_per_s:.0f} items/s, {report.retain_refused} refusals waited out"),
        ("bare embedder, 1 session", f"{bare.single_texts_per_s:.0f} texts/s"),
        (f"bare embedder, {bare.sessions} sessions", f"{bare.parallel_texts_per_s:.0f} texts/s"),
        ("recall, 1 client", shown(report.recall)),
        ("stub through the same ingress", shown(report.stub)),
        ("floor: embed and search in process", shown(report.floor)),
    ]


def report_console() -> Console:
    """Standard output, wide enough for the tables when it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else FILE_COLUMNS)


def print_report(report: LocomoReport, console: Console) -> None:
    """Quality by category, speed, failures, verdict."""
    title = f"{report.file}: {report.conversations} conversations, {report.items} items retained"
    quality = Table(box=SIMPLE, title=title)
    quality.add_column("%", no_wrap=True)
    for metric in METRICS:
        quality.add_column(metric, justify="right", no_wrap=True)
    for heading, rows in quality_rows(report):
        quality.add_row(f"[bold]{heading}[/bold]")
        for method, cells in rows:
            quality.add_row(f"  {method}", *cells, style="green" if method == PRODUCT else None)
    console.print(quality)
    speed = Table("speed", "")
    for name, figures in speed_rows(report):
        speed.add_row(name, figures)
    console.print(speed)
    for failure in report.failures[:10]:
        console.print(f"failed: {failure}", style="red", markup=False)
    if len(report.failures) > 10:
        console.print(f"... and {len(report.failures) - 10} more failures", style="red")
    verdict = Table("ratio", "measured", "target", "verdict")
    for one in verdicts(report):
        verdict.add_row(*one.cells(), style={True: "green", False: "red", None: "yellow"}[one.met])
    console.print(verdict)
