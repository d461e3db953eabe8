"""Bodies: bounded, parsed strictly, validated without listing millions of errors."""

import time
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.types import Message

from actors.settings import Settings
from memory.errors import InvalidRequest
from serve_app.api import build_api
from serve_app.body import read_body
from tests.support.fake_bank_client import FakeBankClient
from tests.support.http_calls import Http

RETAIN = "/v1/default/banks/alice/memories"
GOOD = b'{"items":[{"content":"x y"}]}'


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "!"]
)
def test_json_is_read_whatever_its_label(http: Http, content_type: str) -> None:
    assert http.post(RETAIN, content=GOOD, headers={"content-type": content_type}).status_code == 200
    assert http.post(RETAIN, content=GOOD).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"  \n ",
        b"{",
        b"null",
        b"[]",
        b"5",
        b'"text"',
        b"name=value",
        b'{"items":[{"content":NaN}]}',
        b'{"items":[{"content":"x","metadata":{"a":Infinity}}]}',
        b'{"items":[{"content":"\\ud800"}]}',
        b'{"items":[{"content":"\xed\xa0\x80"}]}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        b'{"items":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"items":[{"content":"x"}]} trailing',
    ],
    ids=lambda raw: repr(raw[:30]),
)
def test_what_is_no_request_is_422(http: Http, raw: bytes) -> None:
    assert http.post(RETAIN, content=raw).status_code == 422


def test_of_a_key_given_twice_the_last_counts(http: Http) -> None:
    raw = b'{"items":[{"content":"first","content":"second","document_id":"d"}]}'
    assert http.post(RETAIN, content=raw).status_code == 200
    assert http.get("/v1/default/banks/alice/documents/d").json()["original_text"] == "second"


def test_too_long_by_what_it_says(http: Http) -> None:
    assert http.post(RETAIN, content=b" " * 20_000_000).status_code == 413


def test_too_long_by_what_comes(http: Http) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 1_000_000

    assert http.post(RETAIN, content=endless()).status_code == 413


def test_a_length_that_lies_is_not_believed(settings: Settings) -> None:
    banks = FakeBankClient(settings)
    with Http(build_api(banks, Settings(max_body_bytes=40))) as http:
        assert http.post(RETAIN, content=GOOD, headers={"content-length": "9" * 30}).status_code == 200
        assert http.post(RETAIN, content=b" " * 41, headers={"content-length": "5"}).status_code == 413
        assert http.post(RETAIN, content=GOOD, headers={"content-length": "many"}).status_code == 200


def test_the_body_in_pieces(http: Http) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(GOOD), 3):
            yield GOOD[at : at + 3]

    assert http.post(RETAIN, content=pieces()).status_code == 200


def test_millions_of_errors_are_counted_not_listed(http: Http) -> None:
    raw = b'{"query":"x","exclude_mental_model_ids":[' + b"1," * 200_000 + b"1]}"
    started_s = time.perf_counter()
    answer = http.post("/v1/default/banks/alice/reflect", content=raw)
    assert answer.status_code == 422
    assert "200001 fields are wrong" in answer.json()["detail"]
    assert time.perf_counter() - started_s < 2.0


def test_wrong_fields_are_named(http: Http) -> None:
    answer = http.post(RETAIN, json={"items": [{"content": "x"}, {"content": 5}]})
    assert answer.json()["errors"][0]["loc"][:3] == ["body", "items", 1]


def test_a_connection_that_ends_early_is_no_request() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "headers": []}, receive)
    with pytest.raises(InvalidRequest):
        read_body(request, 100).send(None)
