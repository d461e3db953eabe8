"""Documents: their text byte for byte, their chunks in order, and their end."""

import pytest
from hindsight_client_api import models

from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"


def test_get_returns_the_text_as_it_was_sent(http: Http) -> None:
    text = "# Title\r\n\r\n  indented \t\n" + "\n\n".join(f"paragraph {n} " + "word " * 80 for n in range(12)) + "\n \n"
    http.post(f"{BANK}/memories", json={"items": [{"content": text, "document_id": "d", "tags": ["t"]}]})
    answer = http.get(f"{BANK}/documents/d").json()
    parsed = models.DocumentResponse.from_dict(answer)
    assert parsed.original_text == text
    assert parsed.id == "d"
    assert parsed.memory_unit_count == sum(parsed.nodes_by_fact_type.values()) > 1
    assert parsed.tags == ["t"]
    assert answer["text_length"] == len(text.encode())


def test_list(retained: Http) -> None:
    answer = models.ListDocumentsResponse.from_dict(retained.get(f"{BANK}/documents").json())
    assert {item.id for item in answer.items} == {"notes", "chat/1"}
    assert answer.total == 2


@pytest.mark.parametrize(
    ("params", "ids"),
    [
        ({"q": "CHAT"}, {"chat/1"}),
        ({"tags": "food"}, {"notes", "chat/1"}),
        ({"tags": "food", "tags_match": "any_strict"}, {"notes"}),
        ({"tags_match": "exact"}, {"chat/1"}),
        ({"q": "x"}, set()),
    ],
)
def test_list_filters(retained: Http, params: dict[str, str], ids: set[str]) -> None:
    answer = retained.get(f"{BANK}/documents", params=params).json()
    assert {item["id"] for item in answer["items"]} == ids
    assert answer["total"] == len(ids)
    assert answer["total_is_estimate"] is False


def test_chunks_in_order_and_by_id(retained: Http) -> None:
    answer = models.ListChunksResponse.from_dict(retained.get(f"{BANK}/documents/chat%2F1/chunks").json())
    assert [chunk.chunk_index for chunk in answer.items] == [0, 1]
    assert [chunk.chunk_text for chunk in answer.items] == ["Where is the spare key?", "Under the blue flower pot."]
    second = retained.get(f"{BANK}/documents/chat%2F1/chunks", params={"limit": 1, "offset": 1}).json()
    assert [chunk["chunk_index"] for chunk in second["items"]] == [1]
    assert second["total"] == 2
    one = models.ChunkResponse.from_dict(retained.get(f"/v1/default/chunks/{answer.items[1].chunk_id}").json())
    assert one == answer.items[1]


@pytest.mark.parametrize("chunk_id", ["alice_notes_0", "00000000-0000-8000-8000-000000000000"])
def test_unknown_chunks_are_not_found(http: Http, chunk_id: str) -> None:
    assert http.get(f"/v1/default/chunks/{chunk_id}").status_code == 404


def test_delete_removes_the_units(retained: Http) -> None:
    answer = models.DeleteDocumentResponse.from_dict(retained.call("DELETE", f"{BANK}/documents/chat%2F1").json())
    assert (answer.success, answer.document_id, answer.memory_units_deleted) == (True, "chat/1", 2)
    assert retained.get(f"{BANK}/documents/chat%2F1").status_code == 404
    assert retained.call("DELETE", f"{BANK}/documents/chat%2F1").status_code == 404
    assert retained.get(f"{BANK}/memories/list").json()["total"] == 1


@pytest.mark.parametrize("path", ["documents/none", "documents/none/chunks"])
def test_unknown_documents_are_not_found(http: Http, path: str) -> None:
    assert http.get(f"{BANK}/{path}").status_code == 404
