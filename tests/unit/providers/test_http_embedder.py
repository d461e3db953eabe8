import itertools
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np
import pytest

from memory.errors import BadSettings, DeadlineExceeded, ModelUnusable, Overloaded, Unavailable
from memory.ports import Embedder
from providers.http_embedder import EmbeddingEndpoint, OpenAICompatibleEmbedder
from providers.policy import RetryPolicy
from tests.support.scripted_embeddings import Answer, ScriptedServer, data, good, raw, send, status, vector_of

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


class Sleeps(list[float]):
    """Collects waits instead of waiting."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
def make(server: ScriptedServer, sleeps: Sleeps) -> Iterator[Callable[..., OpenAICompatibleEmbedder]]:
    made = []

    def build(policy: RetryPolicy | None = None, monotonic=time.monotonic, **fields: Any) -> OpenAICompatibleEmbedder:
        endpoint = EmbeddingEndpoint(**{"base_url": server.url, "model": "m-small", "api_key": KEY, "dim": 3} | fields)
        embedder = OpenAICompatibleEmbedder(endpoint, policy or RetryPolicy(), sleep=sleeps, monotonic=monotonic)
        made.append(embedder)
        return embedder

    yield build
    for embedder in made:
        embedder.close()


def test_it_is_an_embedder(make, server: ScriptedServer):
    port: Embedder = make()
    texts = ["three", "a", "four more"]
    vectors = port.embed(texts)
    expected = np.array([vector_of(text) for text in texts])
    assert vectors == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True), abs=1e-6)
    assert vectors.dtype == np.float32
    assert (port.name, port.dim) == ("m-small", 3)
    assert server.requests == [{"model": "m-small", "input": texts, "encoding_format": "float"}]
    assert server.paths == ["/v1/embeddings"]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_no_texts_ask_nothing(make, server: ScriptedServer):
    assert make().embed([]).shape == (0, 3)
    assert server.requests == []


def test_a_base_url_may_end_in_a_slash_and_hold_a_query(make, server: ScriptedServer):
    make(base_url=f"{server.url}/?api-version=7").embed(["x"])
    assert server.paths == ["/v1/embeddings?api-version=7"]


def test_no_key_sends_no_header(make, server: ScriptedServer):
    make(api_key="").embed(["x"])
    assert "Authorization" not in server.headers[0]


def test_texts_go_out_in_batches_and_come_back_in_order(make, server: ScriptedServer):
    texts = ["x" * length for length in range(1, 8)]
    vectors = make(batch_texts=3).embed(texts)
    assert [len(request["input"]) for request in server.requests] == [3, 3, 1]
    assert (vectors[:, 0] / vectors[:, 1]).tolist() == pytest.approx(list(range(1, 8)), rel=1e-5)


def test_blank_texts_and_lone_surrogates_are_made_sendable(make, server: ScriptedServer):
    assert make().embed(["", " \n", "a\ud800b"]).shape == (3, 3)
    assert server.requests[0]["input"] == [".", ".", "a?b"]


def test_an_unknown_dim_is_learnt_once(make, server: ScriptedServer):
    embedder = make(dim=None)
    assert embedder.dim == 3
    assert embedder.dim == 3
    assert embedder.embed([]).shape == (0, 3)
    assert len(server.requests) == 1
    server.script = [data({"index": 0, "embedding": [1.0, 2.0]})]
    with pytest.raises(ModelUnusable, match=r"expected vectors of shape \(1, 3\), found \(1, 2\)"):
        embedder.embed(["x"])


def test_429_is_repeated_after_the_stated_wait(make, server: ScriptedServer, sleeps: Sleeps):
    server.script = [status(429, Retry_After="7"), status(429, Retry_After="2")]
    assert make().embed(["x"]).shape == (1, 3)
    assert len(server.requests) == 3
    assert 7 <= sleeps[0] <= 7.25
    assert 2 <= sleeps[1] <= 2.25


def test_429_to_the_end_is_overloaded_and_tells_the_wait(make, server: ScriptedServer):
    server.script = [status(429, "slow down", Retry_After="3")] * 5
    with pytest.raises(Overloaded, match=r"m-small at http://\S+/v1/embeddings: HTTP 429: slow down") as caught:
        make().embed(["x"])
    assert caught.value.retry_after_s == 3
    assert len(server.requests) == 5


def test_a_stated_wait_beyond_the_deadline_is_not_waited_for(make, server: ScriptedServer, sleeps: Sleeps):
    server.script = [status(429, Retry_After="3600")]
    with pytest.raises(Overloaded) as caught:
        make().embed(["x"])
    assert caught.value.retry_after_s == 3600
    assert sleeps == []


def test_500_is_repeated_with_jitter(make, server: ScriptedServer, sleeps: Sleeps):
    server.script = [status(500), status(503)]
    assert make().embed(["x"]).shape == (1, 3)
    assert len(sleeps) == 2
    assert 0 <= sleeps[0] <= 0.25
    assert 0 <= sleeps[1] <= 0.5


def test_500_to_the_end_is_unavailable(make, server: ScriptedServer):
    server.script = [status(500, "oops")] * 5
    with pytest.raises(Unavailable, match="HTTP 500: oops"):
        make().embed(["x"])


def test_only_the_failed_batch_is_repeated(make, server: ScriptedServer):
    server.script = [good, status(500), good]
    make(batch_texts=1).embed(["a", "b"])
    assert [request["input"] for request in server.requests] == [["a"], ["b"], ["b"]]


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_a_refusal_is_not_repeated(make, server: ScriptedServer, code: int):
    server.script = [status(code, "no")]
    with pytest.raises(ModelUnusable, match=f"HTTP {code}: no"):
        make().embed(["x"])
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed_with_the_key(make, server: ScriptedServer):
    server.script = [status(307, Location="/elsewhere")]
    with pytest.raises(ModelUnusable, match="HTTP 307"):
        make().embed(["x"])
    assert len(server.requests) == 1


GOOD = {"index": 0, "embedding": [1.0, 2.0, 2.0]}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (raw("<html>gateway</html>"), "no list of embeddings"),
        (raw(""), "no list of embeddings"),
        (raw("[]"), "no list of embeddings"),
        (raw('{"error": "none"}'), "no list of embeddings"),
        (raw('{"data": null}'), "no list of embeddings"),
        (raw('{"data": 3}'), "no list of embeddings"),
        (raw("\udcff".encode("utf-8", "surrogateescape").decode("latin-1")), "no list of embeddings"),
        (data("text"), "no list of embeddings"),
        (data({"embedding": [1.0, 2.0, 2.0]}), "no list of embeddings"),
        (data({"index": [0], "embedding": [1.0]}), "no list of embeddings"),
        (data(), "1 texts were sent, 0 embeddings came back"),
        (data(GOOD, {**GOOD, "index": 1}), "1 texts were sent, 2 embeddings came back"),
        (data(GOOD, GOOD), "2 embeddings came back"),
        (data({**GOOD, "index": 1}), "wrong indexes"),
        (raw('{"data": [{"index": 0, "embedding": [1.0, NaN, 0.0]}]}'), "not finite"),
        (raw('{"data": [{"index": 0, "embedding": [1.0, 1e999, 0.0]}]}'), "not finite"),
        (data({"index": 0, "embedding": [1.0, None, 0.0]}), "not finite"),
        (data({"index": 0, "embedding": [0, 0, 0]}), "zeros"),
        (data({"index": 0, "embedding": [1.0, 2.0]}), r"expected vectors of shape \(1, 3\), found \(1, 2\)"),
        (data({"index": 0, "embedding": "AACAPwAAAEA="}), "no list of number rows"),
        (data({"index": 0, "embedding": None}), r"found|not finite|no list"),
    ],
)
def test_a_wrong_answer_is_refused_and_not_repeated(make, server: ScriptedServer, answer: Answer, message: str):
    server.script = [answer]
    with pytest.raises(ModelUnusable, match=message):
        make().embed(["x"])
    assert len(server.requests) == 1


def test_very_large_values_are_normalised_without_overflow(make, server: ScriptedServer):
    server.script = [data({"index": 0, "embedding": [3e300, 4e300, 0.0]})]
    assert make().embed(["x"]) == pytest.approx(np.array([[0.6, 0.8, 0.0]]))


def test_a_hanging_endpoint_is_given_up_at_the_deadline(make, server: ScriptedServer):
    server.script = [server.hang] * 5
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="ReadTimeout"):
        make(RetryPolicy(deadline_s=0.6, attempt_s=0.3)).embed(["x"])
    assert time.monotonic() - started < 5


def test_an_endpoint_that_hangs_once_is_asked_again(make, server: ScriptedServer):
    server.script = [server.hang]
    assert make(RetryPolicy(deadline_s=20, attempt_s=0.4)).embed(["x"]).shape == (1, 3)


def test_an_answer_that_trickles_in_is_given_up(make, server: ScriptedServer):
    ticks = itertools.count()  # each look at the clock takes a second
    policy = RetryPolicy(deadline_s=50, attempt_s=0.5, attempts=2)
    with pytest.raises(DeadlineExceeded, match=r"the answer was not complete after 0\.5 s"):
        make(policy, monotonic=lambda: float(next(ticks))).embed(["x"])


def test_batches_share_one_deadline(make, server: ScriptedServer):
    now = [0.0]

    def slow(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        now[0] += 2.0
        good(handler, request)

    server.script = [slow] * 3
    with pytest.raises(DeadlineExceeded, match="no time left"):
        make(RetryPolicy(deadline_s=4, attempt_s=4), monotonic=lambda: now[0], batch_texts=1).embed(["a", "b", "c"])
    assert len(server.requests) == 2


def test_a_broken_connection_is_repeated(make, server: ScriptedServer):
    def cut(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        send(handler, 200, b'{"data"', {"Content-Length": "500"})
        handler.close_connection = True

    server.script = [cut]
    assert make().embed(["x"]).shape == (1, 3)
    assert len(server.requests) == 2


def test_a_closed_port_is_unavailable(make, sleeps: Sleeps):
    with pytest.raises(Unavailable, match="ConnectError"):
        make(base_url="http://127.0.0.1:1/v1").embed(["x"])
    assert len(sleeps) == 4


def test_the_key_is_nowhere_to_be_seen(make, server: ScriptedServer, caplog: pytest.LogCaptureFixture):
    def echo(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        send(handler, 401, f"Incorrect key {handler.headers['Authorization']}".encode())

    embedder = make(base_url=f"{server.url}?token=hidden")
    server.script = [echo]
    with caplog.at_level(logging.DEBUG), pytest.raises(ModelUnusable, match=r"Incorrect key Bearer \[key\]") as caught:
        embedder.embed(["x"])
    seen = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args) + repr(embedder)
    assert KEY not in seen + repr(embedder._endpoint) + str(embedder) + caplog.text
    assert "hidden" not in seen


def test_threads_share_an_embedder(make, server: ScriptedServer):
    embedder = make()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda length: embedder.embed(["x" * length])[0], range(1, 17)))
    assert [answer[0] / answer[1] for answer in answers] == pytest.approx(list(range(1, 17)), rel=1e-5)


def test_proxies_of_the_environment_are_ignored(make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert make().embed(["x"]).shape == (1, 3)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base_url": ""}, "must begin with http"),
        ({"base_url": "localhost:8080/v1"}, "must begin with http"),
        ({"base_url": "ftp://host/v1"}, "must begin with http"),
        ({"base_url": "http://host:port/v1"}, "is not a URL"),
        ({"base_url": "http://user:word@host/v1"}, "must not hold a user or password"),
        ({"model": ""}, "model must not be empty"),
        ({"dim": 0}, "at least 1, is 0"),
        ({"batch_texts": 0}, "at least 1 text"),
        ({"api_key": f"{KEY}\n"}, "API key holds"),
        ({"api_key": "clé"}, "API key holds"),
    ],
)
def test_bad_settings_are_refused_without_showing_secrets(fields: dict[str, Any], message: str):
    good_fields = {"base_url": "http://host/v1", "model": "m", "api_key": KEY, "dim": 3}
    with pytest.raises(BadSettings, match=message) as caught:
        EmbeddingEndpoint(**good_fields | fields)
    assert KEY not in str(caught.value)
    assert "word@" not in str(caught.value)
