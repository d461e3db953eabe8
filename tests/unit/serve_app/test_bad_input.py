"""Bad input of every kind is answered with a problem, and the bank is untouched after it."""

from typing import Any

import pytest

from lorebank.wire import MAX_CONTENT_BYTES, MAX_ITEMS
from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"
DEEP: Any = []
for _ in range(100):
    DEEP = [DEEP]

ITEMS: list[tuple[Any, int]] = [
    ({}, 422),
    ({"content": ""}, 422),
    ({"content": " \n\t"}, 422),
    ({"content": None}, 422),
    ({"content": 5}, 422),
    ({"content": []}, 422),
    ({"content": [{"type": "text", "text": ""}]}, 422),
    ({"content": [{"type": "text"}]}, 422),
    ({"content": [{"role": "user"}]}, 422),
    ({"content": [{"role": "user", "content": ""}]}, 422),
    ({"content": [{"role": "user", "content": "x"}, {"type": "text", "text": "x"}]}, 422),
    ({"content": DEEP}, 422),
    ({"content": "x" * (MAX_CONTENT_BYTES + 1)}, 413),
    ({"content": "x", "document_id": ""}, 422),
    ({"content": "x", "document_id": "a\u0000b"}, 422),
    ({"content": "x", "document_id": "x" * 513}, 422),
    ({"content": "x", "document_id": 5}, 422),
    ({"content": "x", "timestamp": "yesterday"}, 422),
    ({"content": "x", "timestamp": 5}, 422),
    ({"content": "x", "timestamp": "0001-01-01T00:00:00+14:00"}, 422),
    ({"content": "x", "metadata": {"a": 1}}, 422),
    ({"content": "x", "metadata": "a"}, 422),
    ({"content": "x", "metadata": {"a": "b" * 70_000}}, 413),
    ({"content": "x", "metadata": {str(n): "" for n in range(101)}}, 413),
    ({"content": "x", "context": "c" * 70_000}, 413),
    ({"content": "x", "tags": "a"}, 422),
    ({"content": "x", "tags": [""]}, 422),
    ({"content": "x", "tags": ["a"] * 101}, 422),
    ({"content": "x", "entities": [{"type": "x"}]}, 422),
    ({"content": "x", "update_mode": "merge"}, 422),
    ("x", 422),
    (None, 422),
]


@pytest.mark.parametrize(("item", "status"), ITEMS, ids=lambda value: repr(value)[:60])
def test_items(http: Http, item: Any, status: int) -> None:
    assert http.post(f"{BANK}/memories", json={"items": [{"content": "good"}, item]}).status_code == status
    assert http.get(f"{BANK}/memories/list").json()["total"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"items": []},
        {"items": {}},
        {"items": [{"content": "x"}] * (MAX_ITEMS + 1)},
        {"items": [{"content": "x"}] * 10_000},
        {"items": [{"content": "x"}], "async": "maybe"},
        {"items": [{"content": "x"}], "operation_id": ""},
        {"items": [{"content": "x"}], "wait_for": "forever"},
        {"items": [{"content": "x"}], "document_tags": [5]},
    ],
    ids=lambda body: repr(body)[:60],
)
def test_requests(http: Http, body: Any) -> None:
    assert http.post(f"{BANK}/memories", json=body).status_code == 422


def test_parts_of_a_document_that_contradict_each_other(http: Http) -> None:
    items = [{"content": "x", "document_id": "d", "update_mode": mode} for mode in ("replace", "append")]
    assert http.post(f"{BANK}/memories", json={"items": items}).status_code == 422


@pytest.mark.parametrize("text", ["a\u0000b", "\u202e", "\ufffe", "🙂" * 50, "\r\n", "x\u2028y", "a\ufeff"])
def test_odd_texts_are_kept_verbatim(http: Http, text: str) -> None:
    content = f"before {text} after"
    item = {"content": content, "document_id": "d", "context": text, "metadata": {"key": text}}
    assert http.post(f"{BANK}/memories", json={"items": [item]}).status_code == 200
    assert http.get(f"{BANK}/documents/d").json()["original_text"] == content
    found = http.post(f"{BANK}/memories/recall", json={"query": "before"}).json()["results"]
    assert found[0]["metadata"] == {"key": text}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST", "DELETE", "OPTIONS", "HEAD"])
@pytest.mark.parametrize("path", ["", "/memories/list", "/nothing/here"])
def test_methods_a_path_does_not_have(http: Http, method: str, path: str) -> None:
    if (method, path) in {("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("HEAD", "")} or method == "HEAD":
        return
    if (method, path) == ("PATCH", "/memories/list"):
        return  # the path of a memory called `list`
    assert http.call(method, f"{BANK}{path}").status_code in {404, 405}


def test_queries_with_odd_parameters(http: Http) -> None:
    for query in ("limit=x", "limit=1e3", "offset=%00", "q=%FF%FE", "tags=%00", "tags_match=%ED%A0%80", "type[]=world"):
        assert http.get(f"{BANK}/memories/list?{query}").status_code in {200, 422}
