import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from memory.errors import BadSettings, DeadlineExceeded, ModelUnusable, Overloaded, Unavailable
from providers.http_reranker import TEI_BATCH, HttpReranker, RerankEndpoint
from tests.support.scripted_embeddings import Answer, ScriptedServer, raw, status
from tests.support.scripted_reranker import cohere, score, tei

KEY = "secret-key-0123456789"
QUERY = "red bicycle"
TEXTS = [f"{'red ' * (n % 3)}bicycle number {n}" for n in range(TEI_BATCH + 8)]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


def endpoint(server: ScriptedServer, **fields: Any) -> RerankEndpoint:
    base = server.url.removesuffix("/v1")
    return RerankEndpoint(**{"base_url": base, "style": "tei", "model": "m", "api_key": KEY} | fields)


def scored(server: ScriptedServer, answer: Answer, texts=TEXTS, timeout_s=5.0, **fields: Any) -> list[float]:
    server.script = [answer] * 8

    async def ask() -> list[float]:
        reranker = HttpReranker(endpoint(server, **fields))
        try:
            return await reranker.score(QUERY, texts, timeout_s)
        finally:
            await reranker.close()

    return asyncio.run(ask())


def test_scores_come_in_the_order_of_the_texts_whatever_their_number(server):
    expected = [score(QUERY, text) for text in TEXTS]
    assert scored(server, tei) == expected
    assert sorted(len(request["texts"]) for request in server.requests) == [8, TEI_BATCH]
    assert set(server.paths) == {"/rerank"}
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert scored(server, cohere, style="cohere") == expected
    assert (server.paths[-1], server.requests[-1]["model"]) == ("/v2/rerank", "m")
    assert len(server.requests[-1]["documents"]) == len(TEXTS)
    assert scored(server, cohere, style="cohere", base_url=server.url) == expected
    assert server.paths[-1] == "/v1/rerank"
    assert scored(server, tei, texts=[]) == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(500, "boom"), Unavailable),
        (status(429, "later", Retry_After="3"), Overloaded),
        (status(401, "who are you"), ModelUnusable),
        (status(413, "too many"), ModelUnusable),
        (raw("no JSON"), ModelUnusable),
        (raw("{}"), ModelUnusable),
        (raw("[]"), ModelUnusable),
        (raw('[{"index": 0, "score": 1.0}, {"index": 0, "score": 0.5}]'), ModelUnusable),
        (raw('[{"index": 0, "score": 1.0}, {"index": 7, "score": 0.5}]'), ModelUnusable),
        (raw('[{"index": 0, "score": NaN}, {"index": 1, "score": 0.5}]'), ModelUnusable),
        (raw('[{"index": 0, "score": "high"}, {"index": 1, "score": 0.5}]'), ModelUnusable),
        (raw('[{"index": 0, "score": null}, {"index": 1, "score": 0.5}]'), ModelUnusable),
        (raw('["a", "b"]'), ModelUnusable),
    ],
)
def test_what_goes_wrong_is_told_as_ours_and_without_the_key(server, answer, error):
    with pytest.raises(error) as caught:
        scored(server, answer, texts=["a", "b"])
    assert KEY not in str(caught.value)
    assert "/rerank" in str(caught.value)


def test_a_service_that_is_silent_or_away(server):
    with pytest.raises(DeadlineExceeded):
        scored(server, server.hang, texts=["a", "b"], timeout_s=0.05)
    with pytest.raises(Unavailable):
        scored(server, tei, texts=["a", "b"], base_url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    "fields",
    [
        {"base_url": "ftp://h"},
        {"base_url": "nowhere"},
        {"base_url": "http://u:p@h"},
        {"base_url": "http://h", "style": "cohere", "model": ""},
        {"base_url": "http://h", "api_key": "a b"},
    ],
)
def test_settings_that_cannot_work_are_refused(server, fields):
    with pytest.raises(BadSettings):
        endpoint(server, **fields)
