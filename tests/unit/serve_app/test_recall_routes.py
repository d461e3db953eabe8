"""Recall: filters, includes and shapes."""

from datetime import date
from typing import Any

import pytest
from hindsight_client_api import models

from memory.periods import Period
from tests.support.fake_bank_client import FakeBankClient
from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"


def recall(http: Http, **body: Any) -> dict[str, Any]:
    answer = http.post(f"{BANK}/memories/recall", json={"query": "tea and keys", **body})
    assert answer.status_code == 200, answer.text
    models.RecallResponse.from_dict(answer.json())
    return answer.json()


def test_results_have_the_official_fields_and_ours(retained: Http) -> None:
    best = recall(retained, query="green tea")["results"][0]
    parsed = models.RecallResult.from_dict(best)
    assert parsed.text == "Alice drinks green tea every morning."
    assert parsed.tags == ["food", "home"]
    assert parsed.chunk_id == parsed.id
    assert parsed.scores.final > 0
    assert parsed.scores.reranker is None
    assert best["kind"] == "chunk"
    assert best["speaker"] is None
    assert best["mentioned_at"].endswith("Z")


def test_a_bank_nobody_wrote_to_has_no_results(http: Http) -> None:
    assert recall(http)["results"] == []


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({}, 3),
        ({"types": None}, 3),
        ({"types": []}, 3),
        ({"types": ["world"]}, 2),
        ({"types": ["experience", "observation"]}, 1),
        ({"limit": 2}, 2),
        ({"max_tokens": 6}, 1),
        ({"tags": ["food"]}, 3),
        ({"tags": ["food"], "tags_match": "any_strict"}, 1),
        ({"tags": ["food", "home"], "tags_match": "exact"}, 1),
        ({"tags": ["food"], "tags_match": "exact"}, 0),
        ({"tags": [], "tags_match": "exact"}, 2),
        ({"tag_groups": [{"tags": ["food"]}]}, 1),
        ({"tag_groups": [{"not": {"tags": ["food"]}}]}, 2),
        ({"tag_groups": [{"or": [{"tags": ["food"]}, {"tags": [], "match": "exact"}]}]}, 3),
        ({"tag_groups": [{"and": [{"tags": ["food"]}, {"not": {"tags": ["home"]}}]}]}, 0),
        ({"budget": "high", "prefer_observations": True, "min_seq": 1}, 3),
        ({"temporal_window": {"start": "2024-01-01", "end": "2024-02-01"}}, 3),
    ],
)
def test_filters(retained: Http, body: dict[str, Any], count: int) -> None:
    assert len(recall(retained, **body)["results"]) == count


def test_includes_left_out_mean_entities_only(retained: Http) -> None:
    answer = recall(retained)
    assert answer["entities"] == {}
    assert answer["chunks"] is None
    assert answer["source_facts"] is None
    assert answer["trace"] is None


@pytest.mark.parametrize(
    ("include", "entities"), [({"entities": None}, None), ({"entities": {}}, {}), ({}, {}), (None, {})]
)
def test_entities_are_off_only_where_null_is_said(retained: Http, include: Any, entities: Any) -> None:
    assert recall(retained, include=include)["entities"] == entities


def test_chunks_come_with_their_places(retained: Http) -> None:
    answer = recall(retained, query="flower pot", include={"chunks": {}})
    assert set(answer["chunks"]) == {result["id"] for result in answer["results"]}
    best = answer["chunks"][answer["results"][0]["chunk_id"]]
    assert best == {"id": best["id"], "text": "Under the blue flower pot.", "chunk_index": 1, "truncated": False}


def test_chunks_end_with_their_budget(retained: Http) -> None:
    chunks = list(recall(retained, query="green tea", include={"chunks": {"max_tokens": 8}})["chunks"].values())
    assert [chunk["truncated"] for chunk in chunks] == [False, True]
    assert recall(retained, include={"chunks": {"max_tokens": 0}})["chunks"] == {}


def test_source_facts_and_trace_when_asked_for(retained: Http) -> None:
    answer = recall(retained, include={"source_facts": {}}, trace=True)
    assert answer["source_facts"] == {}
    assert answer["source_facts_truncated"] is False
    assert isinstance(answer["trace"], dict)


def test_scores_floors_reach_the_core(retained: Http, banks: FakeBankClient) -> None:
    recall(retained, min_scores={"semantic": 0.5, "keyword": None, "final": 0.25, "reranker": 0.9})
    bounds = banks.queries[-1].min_scores
    assert (bounds.semantic, bounds.keyword, bounds.final) == (0.5, None, 0.25)


def test_a_window_of_time_reaches_the_core_in_whole_days(retained: Http, banks: FakeBankClient) -> None:
    recall(retained, temporal_window={"start": "2024-01-05T10:00:00Z", "end": "2024-01-05T12:00:00Z"})
    assert banks.queries[-1].asked_of == Period(date(2024, 1, 5), date(2024, 1, 6))
    recall(retained, temporal_window={"start": "2024-01-05", "end": "9999-12-31T23:59:59Z"})
    assert banks.queries[-1].asked_of == Period(date(2024, 1, 5), date.max)
    recall(retained)
    assert banks.queries[-1].asked_of is None


def test_a_recipe_is_chosen_by_its_name(retained: Http, banks: FakeBankClient) -> None:
    recall(retained, recipe="hybrid")
    assert banks.queries[-1].recipe == "hybrid"
    recall(retained, recipe=None)
    assert banks.queries[-1].recipe is None
    refused = retained.post(f"{BANK}/memories/recall", json={"query": "x", "recipe": "grandmother's"})
    assert refused.status_code == 400
    assert "late-interaction" in refused.json()["detail"]


def test_query_timestamp(retained: Http, banks: FakeBankClient) -> None:
    recall(retained, query_timestamp="2024-01-15T10:30:00")
    at = banks.queries[-1].query_timestamp
    assert at is not None
    assert at.isoformat() == "2024-01-15T10:30:00+00:00"
    assert retained.post(f"{BANK}/memories/recall", json={"query": "x", "query_timestamp": "soon"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"query": ""},
        {"query": "?! ..."},
        {"query": 5},
        {"query": "x", "tags": ["a"], "tag_groups": [{"tags": ["b"]}]},
        {"query": "x", "tags_match": "some"},
        {"query": "x", "budget": "huge"},
        {"query": "x", "limit": 0},
        {"query": "x", "max_tokens": -1},
        {"query": "x", "types": ["opinion"]},
        {"query": "x", "tag_groups": [{"tags": ["a"], "or": []}]},
    ],
)
def test_wrong_requests_are_422(http: Http, body: dict[str, Any]) -> None:
    assert http.post(f"{BANK}/memories/recall", json=body).status_code == 422


def test_the_stub_answers_what_recall_would(http: Http) -> None:
    answer = http.post("/v1/_stub/recall", json={"query": "x"})
    assert len(models.RecallResponse.from_dict(answer.json()).results) == 10
    assert http.post("/v1/_stub/recall", json={"query": ""}).status_code == 422
