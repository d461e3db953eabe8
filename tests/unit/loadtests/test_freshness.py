"""Rounds of retain and recall against a fake server."""

import threading

import pytest

from loadtests.freshness import background_writers, run_rounds
from loadtests.timed_connection import LoadError, recall_path
from lorebank.testing import FakeServer


class BrokenServer(FakeServer):
    """Fails on everything, and says that it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = threading.Event()

    def handle(self, request):
        self.asked.set()
        return 500, {}, b"{}"


class ForgetfulServer(FakeServer):
    """Answers every recall with nothing."""

    def handle(self, request):
        if request.path == recall_path("fresh"):
            return 200, {}, b'{"results": []}'
        return super().handle(request)


def test_rounds_find_what_they_wrote_while_others_write(server):
    with background_writers(server.url, ["other-0", "other-1"]) as written:
        run = run_rounds(server.url, "fresh", 10)
    assert (run.found, run.missed) == (10, [])
    assert len(run.retain_ms) == len(run.recall_ms) == 10
    assert len(server.banks["fresh"].documents) == 10
    others = [server.banks[bank] for bank in ("other-0", "other-1") if bank in server.banks]
    assert sum(written) == sum(len(bank.units()) for bank in others)


def test_a_miss_is_counted():
    with ForgetfulServer() as server:
        run = run_rounds(server.url, "fresh", 2)
    assert run.found == 0
    assert [line.partition(":")[0] for line in run.missed] == ["round 0", "round 1"]


def test_a_writer_that_fails_is_told():
    with BrokenServer() as server, pytest.raises(LoadError, match="500"), background_writers(server.url, ["other-0"]):
        assert server.asked.wait(10)
