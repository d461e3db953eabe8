"""The timing client against a real socket."""

import pytest

from loadtests.timed_connection import DEFAULT_WAIT_S, LoadError, TimedConnection, bank_path, recall_path, retain_path
from lorebank.testing import Fault

BODY = {"query": "kettle"}


def test_paths_are_percent_encoded():
    assert bank_path("a b", "documents", "x/y") == "/v1/default/banks/a%20b/documents/x%2Fy"
    assert recall_path("a") == "/v1/default/banks/a/memories/recall"
    assert retain_path("a") == "/v1/default/banks/a/memories"


@pytest.mark.parametrize("keep_alive", [True, False])
def test_requests_are_answered_and_timed(server, keep_alive):
    with TimedConnection(server.url, keep_alive=keep_alive) as connection:
        answers = [connection.post_ok(recall_path("a"), BODY) for _ in range(3)]
    assert all(answer.status == 200 and b"results" in answer.body for answer in answers)
    assert all(0 < answer.latency_ms < 5000 for answer in answers)
    assert [one.body for one in server.received] == [b'{"query":"kettle"}'] * 3


def test_a_refusal_is_repeated_while_there_is_patience(server):
    server.faults.extend([Fault(429, {"retry-after": "0"}), Fault(503)])
    with TimedConnection(server.url) as connection:
        assert connection.post_ok(recall_path("a"), BODY, wait_s=10).latency_ms > DEFAULT_WAIT_S * 1000
    assert len(server.received) == 3


def test_a_refusal_without_patience_is_an_error(server):
    server.faults.append(Fault(429, {"retry-after": "7"}))
    with TimedConnection(server.url) as connection, pytest.raises(LoadError, match="429"):
        connection.post_ok(recall_path("a"), BODY)


def test_a_lost_connection_is_an_error_and_the_next_request_opens_another(server):
    server.faults.append(Fault(drop=True))
    with TimedConnection(server.url) as connection:
        with pytest.raises(LoadError, match="no answer"):
            connection.post(recall_path("a"), BODY)
        assert connection.post(recall_path("a"), BODY).status == 200


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "127.0.0.1:1", "http://"])
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match="expected an http"):
        TimedConnection(url)
