"""Entities and tags."""

import time

import pytest
from hindsight_client_api import models

from serve_app.entity_routes import _matches
from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"


def test_entities_echo_the_page(http: Http) -> None:
    answer = models.EntityListResponse.from_dict(http.get(f"{BANK}/entities").json())
    assert (answer.items, answer.total, answer.limit, answer.offset) == ([], 0, 100, 0)
    assert http.get(f"{BANK}/entities?limit=7&offset=2").json() == {"items": [], "total": 0, "limit": 7, "offset": 2}
    assert http.get(f"{BANK}/entities/someone").status_code == 404


def test_tags_are_counted(retained: Http) -> None:
    retained.post(f"{BANK}/memories", json={"items": [{"content": "x", "tags": ["food", "Work"]}]})
    answer = models.ListTagsResponse.from_dict(retained.get(f"{BANK}/tags").json())
    assert [(item.tag, item.count) for item in answer.items] == [("food", 2), ("Work", 1), ("home", 1)]
    assert retained.get(f"{BANK}/tags?q=WO*").json()["total"] == 1
    assert retained.get(f"{BANK}/tags?limit=1&offset=1").json()["items"] == [{"tag": "Work", "count": 1}]
    assert retained.get(f"{BANK}/tags?source=mental_models").json()["items"] == []


@pytest.mark.parametrize(
    ("pattern", "tag", "fits"),
    [
        ("*", "", True),
        ("user:*", "user:alice", True),
        ("*-admin", "role-admin", True),
        ("*a*b*", "xaxbx", True),
        ("a*a", "a", False),
        ("a*b*a", "aba", True),
        ("a*bb*a", "aba", False),
        ("alice", "alice", True),
        ("ali", "alice", False),
        ("a.c", "abc", False),
        ("**", "anything", True),
    ],
)
def test_wildcards(pattern: str, tag: str, fits: bool) -> None:
    assert _matches(pattern, tag) is fits


def test_wildcards_take_linear_time() -> None:
    started_s = time.perf_counter()
    assert not _matches("*a" * 120 + "*b*", "a" * 256)
    assert time.perf_counter() - started_s < 0.1
