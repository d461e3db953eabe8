"""Recall with a cross-encoder over HTTP, and without one that fails: the ranking stays and the answer says so."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from actors.cross_encoder import FAILURES
from actors.settings import Settings, load_settings
from memory.commands import UpdateBank
from memory.errors import BadSettings
from memory.ids import Scope
from memory.recall import MinScores, RecallQuery
from tests.support.builders import DIM, retain
from tests.support.local_client import recalling_client
from tests.support.loops import in_loop
from tests.support.scripted_embeddings import ScriptedServer, raw, status
from tests.support.scripted_reranker import preferring

SCOPE = Scope("t", "b")
QUERY = RecallQuery("red bicycle", trace=True)
TOLD = ("The red bicycle is in the garden.", "A red boat.", "The bicycle shop has a parrot.")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


def settings_of(server: ScriptedServer, tmp_path, **fields) -> Settings:
    given = {"embedder": "hash", "embedding_dim": DIM, "data": tmp_path, "reranker_weight": 1.0}
    return load_settings(**given, reranker_url=server.url, **fields)


async def client_of(settings: Settings):
    client = recalling_client(settings)
    for number, text in enumerate(TOLD):
        await client.retain(SCOPE, retain(text, op=f"op-{number}", document_id=f"d{number}"))
    return client


@in_loop
async def test_it_orders_the_best_and_scores_them(server, tmp_path):
    client = await client_of(settings_of(server, tmp_path))
    server.script = [preferring("parrot")] * 9
    found = await client.recall(SCOPE, QUERY)
    assert found.results[0].payload["text"] == TOLD[2]
    assert (found.reranked, found.results[0].reranker, found.results[1].reranker) == (True, 1.0, 0.0)
    assert found.trace["reranker"] == {"candidates": 3, "failure": None}
    assert [row["reranker"] for row in found.trace["ranked"]] == [1.0, 0.0, 0.0]
    kept = await client.recall(SCOPE, replace(QUERY, min_scores=MinScores(reranker=0.5)))
    assert [result.payload["text"] for result in kept.results] == [TOLD[2]]
    stacked = (await client.stacks.recall("t", ["b", "c"], QUERY, {})).answer
    assert (stacked.reranked, stacked.results[0].payload["text"]) == (True, TOLD[2])


@pytest.mark.parametrize("fault", ["hang", "500", "shape"])
@in_loop
async def test_without_its_answer_the_ranking_stays_and_the_answer_says_so(fault, server, tmp_path):
    plain = await (await client_of(load_settings(embedder="hash", embedding_dim=DIM, data=tmp_path))).recall(
        SCOPE, QUERY
    )
    client = await client_of(settings_of(server, tmp_path, reranker_timeout_ms=1000 if fault == "hang" else 5000))
    server.script = [{"hang": server.hang, "500": status(500, "boom"), "shape": raw("[]")}[fault]]
    found = await client.recall(SCOPE, QUERY)
    assert found.reranked is False
    assert found.trace["reranker"]["failure"]
    assert [(one.id, one.final) for one in found.results] == [(one.id, one.final) for one in plain.results]
    assert plain.reranked is None
    server.script = [preferring("parrot")]
    assert (await client.recall(SCOPE, QUERY)).reranked is True


@in_loop
async def test_one_that_keeps_failing_is_left_alone(server, tmp_path):
    client = await client_of(settings_of(server, tmp_path))
    server.script = [status(500)] * 20
    for _ in range(FAILURES + 2):
        assert (await client.recall(SCOPE, QUERY)).reranked is False
    assert len(server.requests) == FAILURES


@in_loop
async def test_it_is_asked_only_where_it_is_wanted(server, tmp_path):
    client = await client_of(settings_of(server, tmp_path))
    assert (await client.recall(SCOPE, replace(QUERY, recipe="hybrid"))).reranked is None
    assert (await client.recall(Scope("t", "empty"), QUERY)).reranked is None
    await client.update_bank(Scope("t", "other"), UpdateBank("op", {"enable_reranking": False}))
    await client.retain(Scope("t", "other"), retain("The red bicycle.", op="op-2"))
    assert (await client.recall(Scope("t", "other"), QUERY)).reranked is None
    assert server.requests == []


def test_settings_that_cannot_work_are_refused(server, tmp_path):
    with pytest.raises(BadSettings, match="RERANKER_MODEL"):
        settings_of(server, tmp_path, reranker_style="cohere")
    with pytest.raises(BadSettings):
        settings_of(server, tmp_path, reranker_candidates=1)
