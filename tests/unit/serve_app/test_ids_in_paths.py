"""Ids with slashes, spaces and Unicode reach the core unchanged; ids that cannot be stored are refused."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Receive, Scope, Send

from lorebank.wire import MAX_ID_CHARS
from memory.errors import InvalidRequest
from serve_app.ids_in_paths import IdsInPaths, _restore, decode_segments
from tests.support.http_calls import Http

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=40)


@pytest.mark.parametrize(
    "bank_id",
    [
        "a/b",
        "/",
        "a//b/",
        "with space",
        "ünïcødé-日本",
        "100%",
        "%2F",
        "a+b",
        "a?b#c",
        "user:1@x",
        "x" * MAX_ID_CHARS,
        "…",
    ],
)
def test_odd_ids_work_everywhere(http: Http, bank_id: str) -> None:
    path = f"/v1/default/banks/{quote(bank_id, safe='')}"
    item = {"content": "x y", "document_id": bank_id}
    assert http.post(f"{path}/memories", json={"items": [item]}).json()["bank_id"] == bank_id
    assert http.get(f"{path}/documents/{quote(bank_id, safe='')}").json()["id"] == bank_id
    assert http.get("/v1/default/banks").json()["banks"][0]["bank_id"] == bank_id
    assert http.call("DELETE", f"{path}/documents/{quote(bank_id, safe='')}").json()["document_id"] == bank_id


@pytest.mark.parametrize(
    ("segment", "status"),
    [
        ("%00", 422),
        ("a%0Ab", 422),
        ("%7F", 422),
        ("%C2%85", 422),
        ("%20", 422),
        ("%2E", 422),
        ("%2E%2E", 422),
        ("x" * (MAX_ID_CHARS + 1), 422),
        ("%FF", 400),
        ("%ED%A0%80", 400),
        ("%ED%B0%AF", 400),
    ],
)
def test_ids_that_cannot_be_stored(http: Http, segment: str, status: int) -> None:
    assert http.get(f"/v1/default/banks/{segment}/stats").status_code == status


def test_an_encoded_slash_does_not_reach_another_route(http: Http) -> None:
    assert http.get("/v1/default/banks/a%2Fstats").json()["bank_id"] == "a/stats"
    assert http.get("/v1%2Fdefault/banks/a/stats").status_code == 404


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_segments_come_back(segments: list[str]) -> None:
    raw = "/" + "/".join(quote(segment, safe="") for segment in segments)
    decoded = decode_segments(raw.encode())
    assert [_restore(part) for part in decoded.split("/")[1:]] == segments


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(raw: bytes) -> None:
    try:
        decode_segments(raw)
    except InvalidRequest:
        return


def test_without_raw_path_the_path_is_used() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["path"])

    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    async def drop(message: Message) -> None:
        raise AssertionError(message)

    call = IdsInPaths(app)({"type": "http", "path": "/v1/ü x"}, nothing, drop)
    with pytest.raises(StopIteration):
        call.send(None)
    assert seen == ["/v1/ü x"]
