"""Recall over several banks, scopes, as_of and min_seq over HTTP, with real owners and a store in memory."""

from collections.abc import Iterator
from typing import Any

import pytest

from actors.settings import Settings
from serve_app.api import build_api
from serve_app.request_context import BANKS, RECALL
from tests.support.builders import DIM
from tests.support.http_calls import Http
from tests.support.local_client import recalling_client

KEYS = {"authorization": "Bearer ann"}


@pytest.fixture
def app(tmp_path: Any) -> Any:
    settings = Settings(
        embedder="hash", embedding_dim=DIM, data=tmp_path, api_keys="ann=ann,ben=ben", request_timeout_s=5.0
    )
    return build_api(recalling_client(settings), settings)


@pytest.fixture
def http(app: Any) -> Iterator[Http]:
    with Http(app, KEYS) as calls:
        yield calls


def tell(http: Http, bank: str, text: str, document_id: str = "d") -> dict[str, Any]:
    items = [{"content": text, "document_id": document_id}]
    answer = http.post(f"{BANKS}/{bank}/memories", json={"items": items})
    assert answer.status_code == 200, answer.text
    return answer.json()


def recall(http: Http, **body: Any) -> dict[str, Any]:
    answer = http.post(RECALL, json={"query": "red bicycle", **body})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_results_name_their_bank_and_come_with_their_chunks(http: Http) -> None:
    for bank in ("far", "near"):
        tell(http, bank, "The red bicycle.")
    answer = recall(http, banks=["near", "nowhere", "far"], include={"chunks": {}}, trace=True)
    assert [row["bank_id"] for row in answer["results"]] == ["near", "far"]
    assert [row["document_id"] for row in answer["results"]] == ["d", "d"]
    assert (answer["banks"], answer["missing_banks"]) == (["near", "nowhere", "far"], ["nowhere"])
    assert {chunk["text"] for chunk in answer["chunks"].values()} == {"The red bicycle."}
    assert len(answer["chunks"]) == 2
    assert answer["trace"]["banks"] == ["near", "far"]
    assert [row["bank_id"] for row in recall(http, banks=["far", "near"])["results"]] == ["far", "near"]


def test_another_tenants_banks_of_the_same_names_are_not_seen(app: Any) -> None:
    with Http(app, KEYS) as ann:
        ann.call("PUT", f"{BANKS}/own", json={"scope": {"host": "app", "user": "u"}})
        tell(ann, "own", "The red bicycle.")
        assert len(recall(ann, scope={"host": "app", "agent": "a", "user": "u"})["results"]) == 1
    with Http(app, {"authorization": "Bearer ben"}) as ben:
        assert recall(ben, banks=["own"])["missing_banks"] == ["own"]
        assert recall(ben, scope={"host": "app", "user": "u"}) | {"results": []} == recall(
            ben, scope={"host": "app", "user": "u"}
        )
        assert recall(ben, scope={"host": "app", "user": "u"})["banks"] == []
        assert ben.call("PUT", f"{BANKS}/own", json={"scope": {"host": "app", "user": "u"}}).status_code == 200


def test_a_scope_is_one_banks_and_shown_with_it(http: Http) -> None:
    scope = {"host": "app", "user": "ana"}
    made = http.call("PUT", f"{BANKS}/one", json={"name": "One", "scope": scope}).json()
    assert made["scope"] == scope
    refused = http.call("PUT", f"{BANKS}/two", json={"scope": scope})
    assert refused.status_code == 409
    assert "'one'" in refused.json()["detail"]
    assert http.call("PATCH", f"{BANKS}/one/config", json={"updates": {"scope": {"host": "other"}}}).status_code == 200
    assert http.get(f"{BANKS}/one").json()["scope"] == {"host": "other"}
    assert "scope" not in http.get(f"{BANKS}/one/config").json()["overrides"]
    http.call("DELETE", f"{BANKS}/one/config")
    assert http.get(f"{BANKS}/one").json()["scope"] == {"host": "other"}
    assert http.call("PUT", f"{BANKS}/two", json={"scope": scope}).status_code == 200
    http.call("DELETE", f"{BANKS}/two")
    assert http.call("PUT", f"{BANKS}/three", json={"scope": scope}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"banks": []},
        {"banks": ["a", "a"]},
        {"banks": [f"b{n}" for n in range(17)]},
        {"banks": ["a"], "scope": {"host": "h"}},
        {"banks": [".."]},
        {"banks": [5]},
        {"scope": {}},
        {"scope": {"host": ""}},
        {"scope": {"host": "h", "user": "x" * 600}},
        {"banks": ["a"], "min_seq": 3},
        {"banks": ["a"], "min_seqs": {"a": -1}},
        {"banks": ["a"], "as_of": "soon"},
    ],
)
def test_wrong_requests_are_422(http: Http, body: dict[str, Any]) -> None:
    assert http.post(RECALL, json={"query": "x", **body}).status_code == 422


def test_sixteen_banks_are_enough(http: Http) -> None:
    for number in range(16):
        tell(http, f"b{number}", f"The red bicycle of {number}.")
    assert {row["bank_id"] for row in recall(http, banks=[f"b{n}" for n in range(16)])["results"]} == {
        f"b{n}" for n in range(16)
    }


def test_an_answer_that_could_not_wait_says_that_it_is_stale(http: Http) -> None:
    seq = tell(http, "b", "The red bicycle.")["seq"]
    ask = {"query": "bicycle", "min_seq": seq}
    assert http.post(f"{BANKS}/b/memories/recall", json=ask).json()["stale"] is False
    late = http.post(f"{BANKS}/b/memories/recall", json={**ask, "min_seq": seq + 1000}).json()
    assert (late["stale"], len(late["results"])) == (True, 1)
    assert "stale" not in http.post(f"{BANKS}/b/memories/recall", json={"query": "bicycle"}).json()
    assert recall(http, banks=["b"], min_seqs={"b": seq})["stale"] is False
    assert recall(http, banks=["b", "c"], min_seqs={"c": 1})["stale"] is True
