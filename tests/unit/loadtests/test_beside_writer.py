"""Recalls alone and beside a writer, against a fake server."""

import pytest

from loadtests.beside_writer import BesideRun, measure
from loadtests.timed_connection import LoadError, recall_path, retain_path
from lorebank.testing import FakeServer


class FullServer(FakeServer):
    """Has no room for what the writer sends."""

    def handle(self, request):
        if request.path == retain_path("written"):
            return 413, {}, b"{}"
        return super().handle(request)


def test_recalls_of_both_kinds_are_timed_and_the_writer_wrote(server):
    run = measure(server.url, "read", "written", units=130, queries=8, request_items=10)
    assert len(run.alone_ms) == len(run.beside_ms) == 8
    assert len(server.banks["read"].units()) == 130
    assert run.written >= 40
    assert len(server.banks["written"].units()) == run.written
    asked = [request.body for request in server.received if request.path == recall_path("read")]
    assert len(asked) == len(set(asked)), "a query that was asked before may be answered from memory"


def test_the_ratio_is_that_of_the_95th_percentiles():
    assert BesideRun(alone_ms=[1.0] * 100, beside_ms=[3.0] * 100).ratio == pytest.approx(3.0)


def test_a_writer_that_fails_is_told():
    with FullServer() as server, pytest.raises(LoadError, match="413"):
        measure(server.url, "read", "written", units=1, queries=4, request_items=10)
