"""Watermarks and events over HTTP, with real owners of banks in this process."""

from collections.abc import Iterator

import pytest

from actors.settings import Settings
from lorebank import wire
from serve_app.api import build_api
from tests.support.http_calls import Http
from tests.support.local_client import local_client

BANK = "/v1/default/banks/alice"


@pytest.fixture
def http(settings: Settings) -> Iterator[Http]:
    with Http(build_api(local_client(settings), settings)) as calls:
        yield calls


def test_watermarks_of_a_server_without_stages(http: Http) -> None:
    assert http.get(f"{BANK}/watermarks").json() == {"bank_id": "alice", "accepted": 0, "stages": {}}
    http.post(f"{BANK}/memories", json={"items": [{"content": "x"}]})
    assert http.get(f"{BANK}/watermarks").json()["accepted"] > 0


def test_events_are_read_from_where_a_reader_left_off(http: Http) -> None:
    assert http.get(f"{BANK}/events").json() == {"bank_id": "alice", "items": [], "last": 0, "missed": False}
    first = http.post(f"{BANK}/memories", json={"items": [{"content": "x"}], "operation_id": "op-1"}).json()
    page = wire.EventListResponse.model_validate(http.get(f"{BANK}/events").json())
    assert [(item.type, item.operation_id) for item in page.items] == [("retain.completed", first["operation_id"])]
    assert page.items[0].at.startswith("20")
    http.call("DELETE", f"{BANK}/documents/{http.get(f'{BANK}/documents').json()['items'][0]['id']}")
    later = wire.EventListResponse.model_validate(http.get(f"{BANK}/events", params={"after": page.last}).json())
    assert [item.type for item in later.items] == ["document.deleted"]
    assert (later.items[0].commit, later.missed) == (later.last, False)
    assert http.get(f"{BANK}/events", params={"after": later.last}).json()["items"] == []


@pytest.mark.parametrize("after", ["-1", "x", str(2**60)])
def test_an_odd_place_is_refused(http: Http, after: str) -> None:
    assert http.get(f"{BANK}/events", params={"after": after}).status_code == 422
