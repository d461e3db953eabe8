"""Bad input gets a 4xx problem body or works; never a 500, a hang or a half-written document."""

import json
import uuid
from urllib.parse import quote

import httpx
import pytest

HUGE = "x" * (20 << 20)
DEEP = "[" * 50_000 + "]" * 50_000

BODIES: dict[str, bytes] = {
    "empty body": b"",
    "no JSON": b"{items: 1}",
    "a list": b"[]",
    "null": b"null",
    "no items": b'{"items": []}',
    "empty content": b'{"items": [{"content": ""}]}',
    "blank content": b'{"items": [{"content": " \\n\\t "}]}',
    "number as content": b'{"items": [{"content": 7}]}',
    "NaN": b'{"items": [{"content": "x", "metadata": {"a": NaN}}]}',
    "infinity": b'{"items": [{"content": "x"}], "n": Infinity}',
    "lone surrogate": b'{"items": [{"content": "a \\ud800 b"}]}',
    "lone surrogate in id": b'{"items": [{"content": "a", "document_id": "\\udfff"}]}',
    "invalid UTF-8": b'{"items": [{"content": "\xff\xfe"}]}',
    "control character in id": b'{"items": [{"content": "a", "document_id": "a\\u0000b"}]}',
    "wrong types": b'{"items": {"content": "x"}}',
    "wrong timestamp": b'{"items": [{"content": "x", "timestamp": "last week"}]}',
    "metadata of numbers": b'{"items": [{"content": "x", "metadata": {"a": {"b": 1}}}]}',
    "unknown mode": b'{"items": [{"content": "x", "update_mode": "merge"}]}',
    "modes that disagree": (
        b'{"items": [{"content": "x", "document_id": "d", "update_mode": "append"},'
        b' {"content": "y", "document_id": "d", "update_mode": "replace"}]}'
    ),
    "deep nesting": b'{"items": [{"content": "x", "metadata": ' + DEEP.encode() + b"}]}",
    "20 MB": json.dumps({"items": [{"content": HUGE}]}).encode(),
    "10,000 items": json.dumps({"items": [{"content": f"item {n}"} for n in range(10_000)]}).encode(),
    "a long id": json.dumps({"items": [{"content": "x", "document_id": "d" * 5_000}]}).encode(),
    "5,000 tags": json.dumps({"items": [{"content": "x", "tags": [f"t{n}" for n in range(5_000)]}]}).encode(),
}

RECALLS: dict[str, bytes] = {
    "no query": b"{}",
    "empty query": b'{"query": ""}',
    "no word": b'{"query": "?!"}',
    "negative tokens": b'{"query": "x", "max_tokens": -1}',
    "unknown budget": b'{"query": "x", "budget": "huge"}',
    "unknown type": b'{"query": "x", "types": ["dream"]}',
    "bad time": b'{"query": "x", "query_timestamp": "soon"}',
    "unknown match": b'{"query": "x", "tags": ["a"], "tags_match": "most"}',
    "tags and groups": b'{"query": "x", "tags": ["a"], "tag_groups": [{"tags": ["b"]}]}',
    "deep groups": b'{"query": "x", "tag_groups": ' + b'[{"not": ' * 2_000 + b'{"tags": ["a"]}' + b"}]" * 2_000 + b"}",
    "NaN score": b'{"query": "x", "min_scores": {"final": NaN}}',
    "long query": json.dumps({"query": "word " * 100_000}).encode(),
    "surrogate": b'{"query": "\\ud83d"}',
}


@pytest.fixture(scope="module")
def bank(server_url: str) -> str:
    return f"{server_url}/v1/default/banks/bad-{uuid.uuid4()}"


def expect_problem(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text[:300]
    problem = answer.json()
    assert isinstance(problem["detail"], str)
    assert isinstance(problem["error"], str)
    assert problem["status"] == answer.status_code
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize("name", BODIES)
def test_a_bad_retain_is_refused_and_leaves_nothing(bank: str, name: str) -> None:
    headers = {"content-type": "application/json"}
    expect_problem(httpx.post(f"{bank}/memories", content=BODIES[name], headers=headers, timeout=30))
    assert httpx.get(f"{bank}/memories/list", timeout=30).json()["total"] == 0
    assert httpx.get(f"{bank}/documents", timeout=30).json()["total"] == 0


@pytest.mark.parametrize("name", RECALLS)
def test_a_bad_recall_is_refused(bank: str, name: str) -> None:
    headers = {"content-type": "application/json"}
    expect_problem(httpx.post(f"{bank}/memories/recall", content=RECALLS[name], headers=headers, timeout=30))


@pytest.mark.parametrize(
    "text",
    [
        "NUL \x00 and bell \x07 inside",
        "emoji 👩‍👩‍👧 and flags 🇳🇴",
        "right to left שלום and combining e\u0301",
        "\ufeffbyte order mark",
        "line\r\nbreaks\rof\u2028all kinds",
        "private use \ue000 and non-character \ufffe",
    ],
)
def test_odd_text_comes_back_as_it_was_sent(bank: str, text: str) -> None:
    body = {"items": [{"content": text, "document_id": "odd"}]}
    assert httpx.post(f"{bank}-odd/memories", json=body, timeout=30).status_code == 200
    assert httpx.get(f"{bank}-odd/documents/odd", timeout=30).json()["original_text"] == text


@pytest.mark.parametrize("name", ["a/b", "with space", "ö/日本語/🙂", "a%2Fb", "query?x=1#y", "..a", "-", "a//b"])
def test_odd_ids_work_in_paths(server_url: str, name: str) -> None:
    url = f"{server_url}/v1/default/banks/{quote('bank ' + name, safe='')}"
    body = {"items": [{"content": f"kept under {name}", "document_id": name}]}
    assert httpx.post(f"{url}/memories", json=body, timeout=30).status_code == 200
    document = httpx.get(f"{url}/documents/{quote(name, safe='')}", timeout=30)
    assert document.status_code == 200, document.text
    assert document.json()["id"] == name
    assert httpx.delete(f"{url}/documents/{quote(name, safe='')}", timeout=30).status_code == 200
    assert httpx.delete(url, timeout=30).json()["deleted_count"] >= 0


@pytest.mark.parametrize("name", ["%00", "a%0Ab", "%ff%fe", "x" * 2_000])
def test_impossible_ids_in_paths_are_refused(server_url: str, name: str) -> None:
    expect_problem(httpx.get(f"{server_url}/v1/default/banks/{name}/stats", timeout=30))


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("POST", "/v1/default/banks"), ("DELETE", "/health"), ("GET", "/v1")]
)
def test_unknown_routes_and_methods_get_a_problem(server_url: str, method: str, path: str) -> None:
    expect_problem(httpx.request(method, f"{server_url}{path}", timeout=30))
