"""Facts over HTTP: waiting for them, entities, curation, previews, the profile; banks in this process, real rules."""

from collections.abc import Iterator
from typing import Any

import pytest
from hindsight_client_api import models

from actors.extraction import ExtractStage
from actors.settings import Settings
from memory.extraction.rules_extractor import RulesExtractor
from memory.facts import EXTRACT
from memory.policy import BankPolicy
from serve_app.api import build_api
from tests.support.http_calls import Http
from tests.support.local_client import LocalBankClient

BANK = "/v1/default/banks/alice"


@pytest.fixture
def http(settings: Settings) -> Iterator[Http]:
    stages: dict[str, Any] = {}
    client = LocalBankClient(settings, (EXTRACT,), policy=BankPolicy(stages=(EXTRACT,)), stages=stages)
    stages[EXTRACT] = ExtractStage(client.cluster.store, RulesExtractor())
    with Http(build_api(client, settings)) as calls:
        yield calls


def tell(http: Http, text: str, document_id: str = "d") -> dict[str, Any]:
    message = {"role": "user", "name": "Ana", "content": text, "timestamp": "2024-05-01T12:00:00Z"}
    body = {"items": [{"content": [message], "document_id": document_id}], "wait_for": "extracted"}
    return http.post(f"{BANK}/memories", json=body).json()


def facts(http: Http, **params: Any) -> dict[str, dict[str, Any]]:
    rows = http.get(f"{BANK}/memories/list", params=params).json()["items"]
    return {row["text"]: row for row in rows if row["kind"] == "fact"}


def test_a_retain_waits_until_facts_were_found(http: Http) -> None:
    assert tell(http, "I adopted a golden retriever.")["stage"] == "extracted"
    assert set(facts(http)) == {"Ana adopted a golden retriever"}
    http.post(f"{BANK}/memories", json={"items": [{"content": "x"}]})
    assert http.get(f"{BANK}/documents/d").json()["stage"] == "extracted"


def test_a_mood_of_the_day_is_no_preference(http: Http) -> None:
    tell(http, "I hate meetings today.", "a")
    tell(http, "I prefer dark mode.", "b")
    categories = http.get(f"{BANK}/profile/memories").json()["categories"]
    assert [row["text"] for row in categories["preference"]] == ["Ana prefers dark mode"]
    assert "context" not in categories, "it was true for a day, which is over"


def test_entities_are_listed_named_and_merged(http: Http) -> None:
    tell(http, "Maria works at Siemens.", "a")
    tell(http, "Mary works at Philips.", "b")
    listed = http.get(f"{BANK}/entities").json()
    by_name = {item["canonical_name"]: item for item in listed["items"]}
    assert listed["total"] == len(by_name) == 4
    assert models.EntityListResponse.from_dict(listed).limit == 100
    maria, mary = by_name["Maria"]["id"], by_name["Mary"]["id"]
    merged = http.post(f"{BANK}/entities/{maria}/merge", json={"entity_ids": [mary]}).json()
    assert (merged["mention_count"], merged["metadata"]["aliases"]) == (2, ["Mary"])
    patched = http.call("PATCH", f"{BANK}/entities/{maria}", json={"name": "Maria Lopez", "type": "person"}).json()
    assert (patched["canonical_name"], patched["metadata"]["type"]) == ("Maria Lopez", "person")
    assert models.EntityDetailResponse.from_dict(patched).mention_count == 2
    assert http.call("GET", f"{BANK}/entities/{mary}").status_code == 404
    assert http.call("GET", "/v1/default/banks/nobody/entities").json()["total"] == 0


def test_a_fact_is_corrected_invalidated_and_restored(http: Http) -> None:
    tell(http, "I live in Paris.")
    id_ = facts(http)["Ana lives in Paris"]["id"]
    memory = f"{BANK}/memories/{id_}"
    assert http.get(f"{memory}/history").json()["history"] == []
    body = {"text": "Ana lives in Lyon", "occurred_start": "2024-01-01T00:00:00Z", "reason": "misheard"}
    assert http.call("PATCH", memory, json=body).json()["text"] == "Ana lives in Lyon"
    gone = http.call("PATCH", memory, json={"state": "invalidated"}).json()
    assert gone["state"] == "invalidated"
    assert http.call("GET", memory).status_code == 404
    assert facts(http) == {}
    assert set(facts(http, state="invalidated")) == {"Ana lives in Lyon"}
    assert http.call("PATCH", memory, json={"state": "valid"}).json()["state"] == "valid"
    assert set(facts(http)) == {"Ana lives in Lyon"}
    told = http.get(f"{memory}/history").json()
    assert [entry["state"] for entry in told["history"]] == ["valid", "invalidated", "valid"]
    assert http.call("PATCH", memory, json={}).status_code in {400, 422}
    assert (
        http.call(
            "PATCH",
            memory,
            json={"text": "x", "occurred_start": "2024-02-01T00:00:00Z", "occurred_end": "2024-01-01T00:00:00Z"},
        ).status_code
        == 422
    )


def test_an_extraction_is_previewed_and_repeated(http: Http) -> None:
    tell(http, "I live in Paris.")
    body = {"content": "I moved to Oslo yesterday.", "agent_name": "Ana", "timestamp": "2024-05-02T12:00:00Z"}
    seen = http.post(f"{BANK}/memories/dry-run-extract", json=body).json()
    assert [fact["text"] for fact in seen["facts"]] == ["Ana moved to Oslo yesterday (2024-05-01)"]
    assert models.DryRunExtractionResult.from_dict(seen).facts[0].fact_type == "world"
    assert set(facts(http)) == {"Ana lives in Paris"}
    again = http.post(f"{BANK}/documents/d/reprocess").json()
    assert models.ReprocessDocumentResponse.from_dict(again).success
    assert http.call("POST", f"{BANK}/documents/nowhere/reprocess").status_code == 404
