"""Recalls alone and while facts are found, against a fake server that says how many documents wait."""

import json

import pytest

from loadtests.beside_extraction import ExtractionRun, measure
from loadtests.timed_connection import LoadError, recall_path
from lorebank.testing import FakeServer


class ExtractingServer(FakeServer):
    """Has documents that wait for some looks, then none."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks
        self.asked: list[str] = []

    def handle(self, request):
        if request.path.endswith("/watermarks"):
            self.looks -= 1
            marks = {"watermark": 0, "lag": 0, "pending": max(self.looks, 0), "failed_count": 0}
            return 200, {}, json.dumps({"bank_id": "b", "accepted": 1, "stages": {"extract": marks}}).encode()
        if request.path.endswith("/reprocess"):
            self.asked.append(request.path)
            return 200, {}, b"{}"
        return super().handle(request)


def test_recalls_of_both_kinds_are_timed():
    with ExtractingServer(3) as server:
        run = measure(server.url, "read", "told", units=10, turns=120, queries=8)
        assert len(server.banks["told"].units()) == 120
        assert len(server.asked) == 3
        asked = [request.body for request in server.received if request.path == recall_path("read")]
    assert (len(run.alone_ms), len(run.beside_ms), run.waiting) == (8, 40, 2)
    assert len(asked) == len(set(asked)), "a query that was asked before may be answered from memory"


def test_a_backfill_that_is_done_at_once_measures_nothing():
    with ExtractingServer(1) as server, pytest.raises(LoadError, match="more turns"):
        measure(server.url, "read", "told", units=1, turns=1, queries=2)


def test_the_ratio_is_that_of_the_95th_percentiles():
    assert ExtractionRun(alone_ms=[1.0] * 100, beside_ms=[3.0] * 100).ratio == pytest.approx(3.0)
