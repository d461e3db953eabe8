"""A whole LoCoMo run against a fake server, with a cheap embedder."""

from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from loadtests import bench, locomo
from loadtests.dialogue import read_conversations
from loadtests.locomo_report import Verdict, print_report, verdicts
from loadtests.scoring import METRICS
from providers.hash_embedder import HashEmbedder

DATA = Path(locomo.__file__).parent / "data"


@pytest.fixture
def report(server, dialogue_file, monkeypatch):
    monkeypatch.setattr(locomo, "product_embedder", lambda: HashEmbedder(64))
    conversations = read_conversations(dialogue_file)
    return locomo.measure("talk.ndjson", conversations, nullcontext(server.url), locomo.LocomoOptions())


def test_a_run_measures_everything_and_leaves_no_bank(server, report):
    assert (report.conversations, report.items, report.questions) == (2, 8, {"all": 4, "1": 2, "4": 2})
    assert report.failures == []
    assert server.banks == {}
    assert list(report.scores) == ["lorebank", "BM25", "dense", "RRF of both", "z-fusion of both"]
    assert all(scores["all"].keys() == METRICS.keys() for scores in report.scores.values())
    assert report.recall_ratio == pytest.approx(report.recall.p50_ms / (report.floor.p50_ms + report.stub.p50_ms))
    assert report.retain_ratio == report.retain_items_per_s / report.embedder.best_texts_per_s
    assert report.to_json()["recall_ratio"] == report.recall_ratio


def test_the_report_is_printed_and_filed(report):
    console = Console(width=120, record=True)
    print_report(report, console)
    printed = console.export_text()
    markdown = bench.to_markdown(report, at=datetime(2024, 3, 1, tzinfo=UTC), commit="abc", machine="a laptop")
    for text in (printed, markdown):
        assert "multi-hop" in text
        assert "RRF of both" in text
        assert "bare embedder, 1 session" in text
        assert "recall p50 / (embed-and-search floor + HTTP stub)" in text
    assert markdown.startswith("# talk.ndjson, 2024-03-01\n")
    assert all(row.count("|") == len(METRICS) + 2 for row in markdown.splitlines() if row.startswith("| BM25"))


def test_an_ablation_asks_every_question_again_by_each_recipe(server, dialogue_file, monkeypatch):
    monkeypatch.setattr(locomo, "product_embedder", lambda: HashEmbedder(64))
    options = locomo.LocomoOptions(recipes=("hybrid", "late-interaction-without-speaker"))
    report = locomo.measure("talk.ndjson", read_conversations(dialogue_file), nullcontext(server.url), options)
    assert list(report.scores)[-2:] == ["hybrid", "late-interaction-without-speaker"]
    asked = [orjson.loads(request.body) for request in server.received if b'"recipe"' in request.body]
    assert [body["recipe"] for body in asked] == ["hybrid"] * 4 + ["late-interaction-without-speaker"] * 4
    assert report.scores["hybrid"] == report.scores["lorebank"], "the fake server knows one way to rank"
    assert report.failures == []


@pytest.mark.parametrize(("name", "banks", "questions"), [("notes", 1, 56), ("assistant-chat", 1, 52)])
def test_the_sets_of_our_own_name_evidence_that_exists(name, banks, questions):
    conversations = read_conversations(DATA / f"{name}.ndjson")
    assert (len(conversations), sum(len(one.questions) for one in conversations)) == (banks, questions)
    raw = [orjson.loads(line) for line in (DATA / f"{name}.ndjson").read_bytes().splitlines()]
    asked = [question for one in raw for question in one["questions"]]
    known = {turn.dia_id for one in conversations for turn in one.turns}
    assert all(set(question["evidence"]) <= known for question in asked)


def test_a_ratio_is_met_missed_or_not_measured(report):
    assert Verdict("a", 1.3, 1.3, at_least=True).met is True
    assert Verdict("a", 1.2, 1.3, at_least=True).met is False
    assert Verdict("a", 2.1, 2.0, at_least=False).met is False
    assert Verdict("a", None, 2.0, at_least=False).cells() == ("a", "-", "≤ 2.00", "not measured")
    assert len(verdicts(report)) == 4


def test_the_machine_and_the_commit_are_named():
    assert bench.cpu_model()
    assert bench.commit_name()
