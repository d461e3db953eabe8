"""Observations over HTTP: made on request, listed, recalled with their facts, cleared; how far a bank is with them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from hindsight_client_api import models

from actors.bank_ports import Consolidation
from actors.client import BankClient
from actors.consolidating import RuleConsolidator
from actors.extraction import ExtractStage
from actors.settings import Settings
from memory.consolidating.commands import Batch, Edits
from memory.ids import Scope
from memory.policy import BankPolicy
from memory.store_calls import ReadHead
from serve_app.api import build_api
from tests.support.builders import DIM
from tests.support.clocks import FakeClock
from tests.support.extracting import CountingExtractor
from tests.support.http_calls import Http
from tests.support.local_client import recalling_client

BANK = "/v1/default/banks/ana"
DEADLINE_S = 20.0


@pytest.fixture
def client() -> BankClient:
    settings = Settings(request_timeout_s=5.0, embedder="hash", embedding_dim=DIM)
    stages: dict[str, Any] = {}
    client = recalling_client(settings, policy=BankPolicy(stages=("extract",)), stages=stages)
    cluster: Any = client._cluster
    stages["extract"] = ExtractStage(cluster.store, CountingExtractor())
    port = Consolidation(RuleConsolidator(cluster.store, FakeClock()).decide, 256)
    object.__setattr__(cluster.ports, "consolidation", port)
    return client


@pytest.fixture
def http(client: BankClient) -> Iterator[Http]:
    with Http(build_api(client, client.settings)) as calls:
        yield calls


def tell(http: Http, document_id: str, text: str, name: str = "Ana", **fields: Any) -> None:
    content = [{"role": "user", "name": name, "content": text}]
    body = {"items": [{"content": content, "document_id": document_id, **fields}], "wait_for": "extracted"}
    answer = http.post(f"{BANK}/memories", json=body).json()
    assert answer["stage"] == "extracted"


def consolidate(http: Http, *scopes: list[str]) -> dict[str, Any]:
    request = models.ConsolidationRequest(observation_scopes=list(scopes) or None)
    asked = http.post(f"{BANK}/consolidate", json=request.to_dict())
    assert asked.status_code == 200, asked.text
    answer = models.ConsolidationResponse.from_dict(asked.json())
    until_s = time.monotonic() + DEADLINE_S
    while time.monotonic() < until_s:
        found = http.get(f"{BANK}/operations/{answer.operation_id}").json()
        if found["status"] == "completed":
            return found
    raise AssertionError(found)


def observed(http: Http) -> list[dict[str, Any]]:
    page = http.get(f"{BANK}/memories/list", params={"type": "observation"}).json()
    models.ListMemoryUnitsResponse.from_dict(page)
    return page["items"]


def test_observations_are_made_on_request_and_shown_with_what_they_rest_on(http: Http) -> None:
    tell(http, "a", "I live in Oslo.", tags=["home"])
    tell(http, "b", "I live in Oslo, Norway.", tags=["home"])
    assert observed(http) == []
    done = consolidate(http)
    assert done["operation_type"] == "consolidation"
    (row,) = observed(http)
    assert (row["kind"], row["proof_count"], len(row["source_memory_ids"])) == ("observation", 2, 2)
    include = {"source_facts": {"max_tokens": 1000}}
    asked = {"query": "Where does Ana live?", "types": ["observation"], "include": include}
    found = http.post(f"{BANK}/memories/recall", json=asked).json()
    models.RecallResponse.from_dict(found)
    (result,) = found["results"]
    assert (result["id"], set(result["source_fact_ids"])) == (row["id"], set(found["source_facts"]))
    assert {fact["text"] for fact in found["source_facts"].values()} == {
        "Ana lives in Oslo",
        "Ana lives in Oslo, Norway",
    }
    assert found["source_facts_truncated"] is False
    asked["include"] = {"source_facts": {"max_tokens": 5}}
    found = http.post(f"{BANK}/memories/recall", json=asked).json()
    assert found["source_facts_truncated"] is True
    assert len(found["source_facts"]) < 2
    scopes = models.ObservationScopesResponse.from_dict(http.get(f"{BANK}/observations/scopes").json())
    assert [(scope.tags, scope.count) for scope in scopes.scopes] == [(["home"], 1)]
    stats = http.get(f"{BANK}/stats").json()
    assert (stats["total_observations"], stats["pending_consolidation"]) == (1, 0)
    assert stats["last_consolidated_at"]


def test_an_observation_that_is_preferred_takes_the_place_of_what_it_rests_on(http: Http) -> None:
    tell(http, "a", "I live in Oslo.")
    tell(http, "b", "I live in Oslo, Norway.")
    tell(http, "c", "I love jazz.")
    consolidate(http)
    asked: dict[str, Any] = {"query": "Where does Ana live?"}
    every = [row["kind"] for row in http.post(f"{BANK}/memories/recall", json=asked).json()["results"]]
    assert sorted(every) == ["chunk", "chunk", "chunk", "observation"]
    asked["prefer_observations"] = True
    found = http.post(f"{BANK}/memories/recall", json=asked).json()["results"]
    assert sorted((row["kind"], "jazz" in row["text"]) for row in found) == [("chunk", True), ("observation", False)]


def test_a_watermark_tells_how_far_observations_are(http: Http) -> None:
    tell(http, "a", "I live in Oslo.")
    assert "consolidate" not in http.get(f"{BANK}/watermarks").json()["stages"]
    consolidate(http)
    before = http.get(f"{BANK}/watermarks").json()
    assert before["stages"]["consolidate"]["lag"] == 0
    http.call("PATCH", f"{BANK}/config", json={"updates": {"enable_observations": True}})
    tell(http, "b", "I live in Oslo, Norway.")
    marks = http.get(f"{BANK}/watermarks").json()
    assert marks["stages"]["consolidate"]["pending"] >= 1
    assert marks["stages"]["consolidate"]["watermark"] >= before["stages"]["consolidate"]["watermark"]
    assert marks["stages"]["consolidate"]["watermark"] < marks["accepted"]
    consolidate(http)
    marks = http.get(f"{BANK}/watermarks").json()
    assert (marks["stages"]["consolidate"]["lag"], marks["stages"]["consolidate"]["pending"]) == (0, 0)


def test_history_and_clearing(http: Http) -> None:
    tell(http, "a", "I live in Oslo.")
    tell(http, "b", "I live in Oslo, Norway.")
    consolidate(http)
    tell(http, "c", "I live in Oslo with my dog.")
    consolidate(http)
    (row,) = observed(http)
    answer = http.get(f"{BANK}/memories/{row['id']}/history").json()
    (version,) = answer["history"]
    assert (version["changes"], version["proof_count"]) == (["refined"], 2)
    assert len(version["source_facts"]) == 2
    fact = row["source_memory_ids"][0]
    cleared = http.call("DELETE", f"{BANK}/memories/{fact}/observations").json()
    assert models.ClearMemoryObservationsResponse.from_dict(cleared).deleted_count == 1
    assert observed(http) == []
    consolidate(http)
    assert len(observed(http)) == 1
    answer = http.call("DELETE", f"{BANK}/observations").json()
    assert (answer["success"], answer["deleted_count"]) == (True, 1)
    assert http.post(f"{BANK}/consolidation/recover").json() == {"retried_count": 0}


def test_a_bank_that_is_not_there_and_scopes_that_are_none_are_refused(http: Http) -> None:
    assert http.post("/v1/default/banks/nobody/consolidate", json={}).status_code == 404
    assert http.call("DELETE", "/v1/default/banks/nobody/observations").json()["deleted_count"] == 0
    tell(http, "a", "I live in Oslo.")
    body = {"items": [{"content": "x", "observation_scopes": "every_tag"}]}
    assert http.post(f"{BANK}/memories", json=body).status_code == 422
    updates = {"updates": {"default_observation_scopes": "every_tag"}}
    assert http.call("PATCH", f"{BANK}/config", json=updates).status_code == 422
    nowhere = "00000000-0000-8000-8000-000000000000"
    assert http.call("DELETE", f"{BANK}/memories/{nowhere}/observations").status_code == 404


def test_items_say_how_they_are_scoped(http: Http) -> None:
    tell(http, "a", "I live in Oslo.", tags=["x", "run:1"], observation_scopes=[["x"]])
    tell(http, "b", "I live in Oslo, Norway.", tags=["x", "run:2"], observation_scopes=[["x"]])
    consolidate(http)
    (row,) = observed(http)
    assert row["tags"] == ["x"]


def test_only_the_scopes_that_are_asked_for_are_consolidated(http: Http) -> None:
    for name in ("ana", "ben"):
        tell(http, f"{name}-1", "I live in Oslo.", name.title(), tags=[f"user:{name}", "home"])
        tell(http, f"{name}-2", "I live in Oslo, Norway.", name.title(), tags=[f"user:{name}", "home"])
    consolidate(http, ["user:ben", "home"], ["user:nobody"])
    assert [row["tags"] for row in observed(http)] == [["home", "user:ben"]]
    assert http.get(f"{BANK}/stats").json()["pending_consolidation"] >= 2
    consolidate(http)
    assert sorted(row["tags"] for row in observed(http)) == [["home", "user:ana"], ["home", "user:ben"]]
    assert http.get(f"{BANK}/stats").json()["pending_consolidation"] == 0
    many = {"observation_scopes": [[f"t{number}"] for number in range(33)]}
    assert http.post(f"{BANK}/consolidate", json=many).status_code == 422


def test_facts_of_one_document_do_not_wait_once_they_were_taken(http: Http, client: BankClient) -> None:
    cluster: Any = client._cluster
    decide, waiting = cluster.ports.consolidation.decide, list[int]()

    async def looked(scope: Scope, batch: Batch) -> Edits:
        head = await cluster.store.perform(scope, ReadHead())
        waiting.append((await client.observing.find_state(scope, head)).pending)
        return await decide(scope, batch)

    object.__setattr__(cluster.ports, "consolidation", Consolidation(looked, 2))
    said = ("I live in Oslo.", "I love jazz.", "I work as a vet.", "I have a cat.", "I play the harp.")
    content = [{"role": "user", "name": "Ana", "content": text} for text in said]
    body = {"items": [{"content": content, "document_id": "a"}], "wait_for": "extracted"}
    assert http.post(f"{BANK}/memories", json=body).json()["stage"] == "extracted"
    consolidate(http)
    assert waiting == [6, 4, 2], "with the request itself"
    assert http.get(f"{BANK}/stats").json()["pending_consolidation"] == 0


def test_the_job_learns_which_banks_have_something_to_consolidate(http: Http, client: BankClient) -> None:
    def waiting(bank: str = "ana") -> tuple[int, bool, bool] | None:
        found = http.await_(client.observing.find_waiting(Scope("default", bank)))
        return None if found is None else (found.facts, found.last_at is not None, found.paused)

    assert waiting("nobody") is None
    http.post(f"{BANK}/memories", json={"items": [{"content": "Is it so?"}], "wait_for": "extracted"})
    assert waiting() is None
    tell(http, "a", "I live in Oslo.")
    assert waiting() == (1, False, False)
    consolidate(http)
    assert waiting() is None
    tell(http, "b", "I live in Oslo, Norway.")
    assert waiting() == (1, True, False)
    http.call("PATCH", f"{BANK}/config", json={"updates": {"consolidation_paused": True}})
    assert waiting() == (1, True, True)
