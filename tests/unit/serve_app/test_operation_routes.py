"""Operations: listing and status."""

from hindsight_client_api import models

from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"


def test_list(retained: Http) -> None:
    retained.post(f"{BANK}/memories", json={"items": [{"content": "x", "document_id": "one"}], "async": True})
    retained.call("DELETE", f"{BANK}/documents/one")
    answer = models.OperationsListResponse.from_dict(retained.get(f"{BANK}/operations").json())
    assert (answer.bank_id, answer.total, answer.limit, answer.offset) == ("alice", 3, 20, 0)
    assert sorted(row.task_type for row in answer.operations) == ["delete_document", "retain", "retain"]
    assert {row.status for row in answer.operations} == {"completed"}
    assert all("error_message" in row for row in retained.get(f"{BANK}/operations").json()["operations"])


def test_list_filters(retained: Http) -> None:
    for params, total in [
        ({"status": "completed"}, 1),
        ({"status": "failed"}, 0),
        ({"type": "retain"}, 1),
        ({"type": "consolidation"}, 0),
    ]:
        assert retained.get(f"{BANK}/operations", params=params).json()["total"] == total
    assert retained.get(f"{BANK}/operations", params={"limit": 101}).status_code == 422


def test_status(http: Http) -> None:
    body = {"items": [{"content": "x", "document_id": "one"}], "operation_id": "a/b c", "async": True}
    http.post(f"{BANK}/memories", json=body)
    answer = http.get(f"{BANK}/operations/a%2Fb%20c").json()
    parsed = models.OperationStatusResponse.from_dict(answer)
    assert (parsed.operation_id, parsed.status, parsed.operation_type) == ("a/b c", "completed", "retain")
    assert answer["result_metadata"]["documents"][0]["document_id"] == "one"
    assert answer["document_id"] == "one"


def test_status_of_an_id_nobody_used(http: Http) -> None:
    parsed = models.OperationStatusResponse.from_dict(http.get(f"{BANK}/operations/zz").json())
    assert parsed.status == "not_found"
