"""Sessions over HTTP, with real owners of banks in this process."""

from collections.abc import Iterator

import pytest

from actors.settings import Settings
from serve_app.api import build_api
from tests.support.http_calls import Http
from tests.support.local_client import local_client

BANK = "/v1/default/banks/alice"
SESSIONS = f"{BANK}/sessions"


@pytest.fixture
def http(settings: Settings) -> Iterator[Http]:
    with Http(build_api(local_client(settings, session_turns=10, open_sessions=3), settings)) as calls:
        yield calls


def append(http: Http, *texts: str, session: str = "s", **fields: str):
    turns = [{"role": "user", "content": text} for text in texts]
    return http.post(f"{SESSIONS}/{session}/turns", json={"messages": turns, **fields})


def test_a_conversation_from_its_opening_to_its_end(http: Http) -> None:
    opened = http.post(SESSIONS, json={"session_id": "s", "tags": ["t"], "idle_ttl_s": 60}).json()
    assert (opened["state"], opened["turns"], opened["document_id"], opened["idle_ttl_s"]) == ("open", 0, "s", 60)
    receipt = append(http, "Hello.", "Is it you?", operation_id="o").json()
    assert (receipt["first_turn"], receipt["turns"], receipt["durability"]) == (0, 2, "process")
    assert append(http, "Hello.", "Is it you?", operation_id="o").json()["replayed"] is True
    append(http, "It is.")
    assert http.get(f"{BANK}/documents/s").json()["original_text"] == "Hello.\nIs it you?\nIt is."
    assert http.get(f"{BANK}/documents/s/chunks").json()["total"] == 3
    chunk = http.get(f"{BANK}/documents/s/chunks").json()["items"][2]
    assert http.get(f"/v1/default/chunks/{chunk['chunk_id']}").json()["chunk_index"] == 2
    assert http.get(f"{SESSIONS}/s").json()["turns"] == 3
    closed = http.post(f"{SESSIONS}/s/close", json={}).json()
    assert (closed["state"], closed["closed_by"], closed["expires_at"]) == ("closed", "caller", None)
    assert http.post(f"{SESSIONS}/s/close").json() == closed
    assert http.get(SESSIONS, params={"status": "open"}).json()["total"] == 0
    assert [row["session_id"] for row in http.get(SESSIONS).json()["items"]] == ["s"]
    assert http.call("DELETE", f"{SESSIONS}/s").json()["memory_units_deleted"] == 3
    assert http.get(f"{BANK}/documents/s").status_code == 404


def test_what_is_not_there_or_closed_is_said_so(http: Http) -> None:
    for status, answer in [
        (404, append(http, "x", session="nobody")),
        (404, http.get(f"{SESSIONS}/nobody")),
        (404, http.post(f"{SESSIONS}/nobody/close")),
        (404, http.call("DELETE", f"{SESSIONS}/nobody")),
    ]:
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.headers["content-type"].startswith("application/problem+json")
    http.post(SESSIONS, json={"session_id": "s"})
    assert http.post(SESSIONS, json={"session_id": "s"}).status_code == 409
    assert append(http, *["x"] * 11).status_code == 413
    http.post(f"{SESSIONS}/s/close")
    answer = append(http, "late")
    assert (answer.status_code, "closed" in answer.json()["detail"]) == (409, True)
    for body in ({}, {"messages": []}, {"messages": [{"content": " "}]}, {"messages": "text"}):
        assert http.post(f"{SESSIONS}/s/turns", json=body).status_code == 422
    assert http.post(SESSIONS, json={"idle_ttl_s": 0}).status_code == 422
    assert http.get(SESSIONS, params={"status": "odd"}).status_code == 422


def test_an_opening_that_is_sent_again_opens_no_second_session(http: Http) -> None:
    first = http.post(SESSIONS, json={"operation_id": "op"}).json()
    assert http.post(SESSIONS, json={"operation_id": "op"}).json()["session_id"] == first["session_id"]
    assert http.get(SESSIONS).json()["total"] == 1


def test_the_memory_of_a_deleted_session_may_be_kept(http: Http) -> None:
    http.post(SESSIONS, json={"session_id": "a/b c"})
    append(http, "kept", session="a%2Fb%20c")
    gone = http.call("DELETE", f"{SESSIONS}/a%2Fb%20c", params={"keep_memory": "true"}).json()
    assert gone == {"success": True, "session_id": "a/b c", "memory_units_deleted": 0}
    assert http.get(f"{BANK}/documents/a%2Fb%20c").json()["original_text"] == "kept"
