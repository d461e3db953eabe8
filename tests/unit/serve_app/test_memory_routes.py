"""Retain, list, get: what is stored, and the shapes the official client parses."""

import pytest
from hindsight_client_api import models

from tests.support.fake_bank_client import FakeBankClient
from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"


def test_retain_answers_with_the_receipt(http: Http) -> None:
    answer = http.post(f"{BANK}/memories", json={"items": [{"content": "one"}, {"content": "two"}]}).json()
    parsed = models.RetainResponse.from_dict(answer)
    assert (parsed.success, parsed.bank_id, parsed.items_count, parsed.var_async) == (True, "alice", 2, False)
    assert parsed.usage is not None
    assert answer["durability"] == "process"
    assert answer["stage"] == "accepted"
    assert [document["added"] for document in answer["documents"]] == [1, 1]
    assert answer["document_ids"] == [document["document_id"] for document in answer["documents"]]


def test_async_retain_names_its_operation_and_is_stored_at_once(http: Http) -> None:
    answer = http.post(f"{BANK}/memories", json={"items": [{"content": "later"}], "async": True}).json()
    parsed = models.RetainResponse.from_dict(answer)
    assert parsed.var_async is True
    assert parsed.operation_ids == [parsed.operation_id]
    assert parsed.usage is None
    assert http.get(f"{BANK}/memories/list").json()["total"] == 1


def test_same_operation_id_stores_once(http: Http) -> None:
    body = {"items": [{"content": "only once"}], "operation_id": "op-1"}
    first = http.post(f"{BANK}/memories", json=body).json()
    again = http.post(f"{BANK}/memories", json=body).json()
    assert again["replayed"] is True
    assert again["seq"] == first["seq"]
    assert http.get(f"{BANK}/memories/list").json()["total"] == 1


def test_operation_id_of_another_command_is_a_conflict(http: Http) -> None:
    http.post(f"{BANK}/memories", json={"items": [{"content": "a"}], "operation_id": "op-1"})
    assert http.post(f"{BANK}/memories", json={"items": [{"content": "b"}], "operation_id": "op-1"}).status_code == 409


def test_items_that_share_a_document_are_its_parts(http: Http) -> None:
    items = [{"content": text, "document_id": "d"} for text in ("first part", "second part")]
    http.post(f"{BANK}/memories", json={"items": items})
    assert http.get(f"{BANK}/documents/d").json()["original_text"] == "first part\nsecond part"


def test_content_blocks_are_joined_by_lines(http: Http) -> None:
    blocks = [{"type": "text", "text": "above"}, {"type": "text", "text": "below"}]
    http.post(f"{BANK}/memories", json={"items": [{"content": blocks, "document_id": "d"}]})
    assert http.get(f"{BANK}/documents/d").json()["original_text"] == "above\nbelow"


def test_other_blocks_are_refused(http: Http) -> None:
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aa"}}
    assert http.post(f"{BANK}/memories", json={"items": [{"content": [block]}]}).status_code == 422


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2024-03-01T09:00:00Z", "2024-03-01T09:00:00.000000Z"),
        ("2024-03-01T09:00:00", "2024-03-01T09:00:00.000000Z"),
        ("2024-03-01T09:00:00+02:00", "2024-03-01T07:00:00.000000Z"),
        ("2024-03-01", "2024-03-01T00:00:00.000000Z"),
        ("unset", None),
    ],
)
def test_timestamps(http: Http, given: str, kept: str | None) -> None:
    http.post(f"{BANK}/memories", json={"items": [{"content": "x y", "timestamp": given}]})
    assert http.get(f"{BANK}/memories/list").json()["items"][0]["mentioned_at"] == kept


@pytest.mark.parametrize("item", [{}, {"timestamp": None}])
def test_no_timestamp_means_now(http: Http, item: dict[str, None]) -> None:
    http.post(f"{BANK}/memories", json={"items": [{"content": "x y", **item}]})
    row = http.get(f"{BANK}/memories/list").json()["items"][0]
    assert row["mentioned_at"] == row["updated_at"]


def test_tags_of_item_and_request_are_united(http: Http) -> None:
    http.post(f"{BANK}/memories", json={"items": [{"content": "x y", "tags": ["a"]}], "document_tags": ["b", "a"]})
    assert http.get(f"{BANK}/memories/list").json()["items"][0]["tags"] == ["a", "b"]


def test_list_is_parsed_by_the_official_client(retained: Http) -> None:
    answer = retained.get(f"{BANK}/memories/list", params={"limit": 2, "offset": 1}).json()
    parsed = models.ListMemoryUnitsResponse.from_dict(answer)
    assert (parsed.total, parsed.limit, parsed.offset, len(parsed.items)) == (3, 2, 1, 2)


@pytest.mark.parametrize(
    ("params", "total"),
    [
        ({"type": "world"}, 2),
        ({"type": "experience"}, 1),
        ({"type": "observation"}, 0),
        ({"q": "SPARE key"}, 1),
        ({"q": "?!"}, 3),
        ({"document_id": "chat/1"}, 2),
        ({"tags": "food"}, 3),
        ({"tags": "food", "tags_match": "any_strict"}, 1),
        ({"tags": ["food", "work"], "tags_match": "all_strict"}, 0),
        ({"tags_match": "exact"}, 2),
        ({"state": "valid"}, 3),
        ({"state": "invalidated"}, 0),
        ({"consolidation_state": "failed"}, 0),
        ({"entity_id": "nobody"}, 0),
    ],
)
def test_list_filters(retained: Http, params: dict[str, str], total: int) -> None:
    assert retained.get(f"{BANK}/memories/list", params=params).json()["total"] == total


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"offset": 10**30}, {"type": "x"}])
def test_list_refuses_pages_that_are_none(http: Http, params: dict[str, str]) -> None:
    assert http.get(f"{BANK}/memories/list", params=params).status_code == 422


def test_list_of_a_bank_that_does_not_exist_is_empty(http: Http) -> None:
    answer = http.get("/v1/default/banks/nobody/memories/list")
    assert answer.status_code == 200
    assert answer.json() == {"items": [], "total": 0, "limit": 100, "offset": 0}


def test_get_one(retained: Http) -> None:
    row = retained.get(f"{BANK}/memories/list", params={"q": "flower pot"}).json()["items"][0]
    one = retained.get(f"{BANK}/memories/{row['id']}").json()
    assert one["text"] == "Under the blue flower pot."
    assert one["speaker"] == one["role"] == "assistant"
    assert one["type"] == "experience"
    assert one["entities"] == []
    assert one["metadata"] == {"source": "phone"}


@pytest.mark.parametrize(
    "memory_id", ["nothing", "00000000-0000-4000-8000-000000000000", "00000000-0000-8000-8000-0" * 2]
)
def test_get_none(retained: Http, memory_id: str) -> None:
    assert retained.get(f"{BANK}/memories/{memory_id}").status_code == 404


def test_units_of_another_tenant_or_bank_are_not_found(retained: Http, banks: FakeBankClient) -> None:
    row = retained.get(f"{BANK}/memories/list").json()["items"][0]
    assert retained.get(f"/v1/default/banks/bob/memories/{row['id']}").status_code == 404
