"""Both clients: they mirror each other, and each method sends what it says and reads what comes."""

import asyncio
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from hindsight_client import Hindsight
from hypothesis import given, settings
from hypothesis import strategies as st

from lorebank import (
    AsyncClient,
    Client,
    LorebankError,
    NotFoundError,
    ServerError,
    UnreadableAnswerError,
    wire,
)
from lorebank._calls import bank_path
from lorebank.testing import FakeServer, Fault


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(server.url) as running:
        yield running


def public_methods(kind: type) -> dict[str, Callable[..., Any]]:
    return {name: one for name, one in vars(kind).items() if inspect.isfunction(one) and not name.startswith("_")}


def test_clients_mirror_each_other() -> None:
    """The same methods with the same signatures, answers and docstrings; one of them awaits."""
    plain, waiting = public_methods(Client), public_methods(AsyncClient)
    assert list(plain) == list(waiting)
    for name, method in plain.items():
        assert inspect.signature(method) == inspect.signature(waiting[name])
        assert method.__doc__ == waiting[name].__doc__
        assert inspect.iscoroutinefunction(waiting[name])
    settings_of = [set(inspect.signature(kind.__init__).parameters) for kind in (Client, AsyncClient)]
    assert settings_of[0] == settings_of[1]


NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("put_bank", ("b",), {"name": "n", "mission": "m", "disposition_empathy": 5}),
    ("patch_bank", ("b",), {"reflect_mission": "r"}),
    ("get_profile", ("b",), {}),
    ("retain", ("b", "Ada moved to Lisbon."), {"document_id": "d", "tags": ["t"], "operation_id": "o-1"}),
    ("retain", ("b", [{"name": "Ada", "content": "hi"}]), {"operation_id": "o-2", "timestamp": NEW_YEAR}),
    ("retain_many", ("b", [{"content": "x"}, {"content": "y"}]), {"operation_id": "o-3"}),
    ("recall", ("b", "where is Ada?"), {"limit": 3, "budget": "high", "query_timestamp": NEW_YEAR}),
    ("recall", ("b", "where?"), {"include": {"entities": None}, "tag_groups": [{"not": {"tags": ["z"]}}]}),
    ("recall_stack", ("where?",), {"banks": ["b", "none"], "min_seqs": {"b": 1}, "as_of": NEW_YEAR}),
    ("reflect", ("b", "where is Ada?"), {"include": {"facts": {}}}),
    ("search_memory", ("b", "Lisbon"), {}),
    ("list_banks", (), {"limit": 5, "offset": 1}),
    ("stats", ("b",), {}),
    ("list_memories", ("b",), {"q": "x", "tags": ["a", "b"]}),
    ("list_documents", ("b",), {}),
    ("get_document", ("b", "d"), {}),
    ("list_chunks", ("b", "d"), {"limit": 1}),
    ("list_operations", ("b",), {"status": "pending"}),
    ("get_operation", ("b", "o-1"), {}),
    ("open_session", ("b",), {"session_id": "s", "tags": ["t"], "idle_ttl_s": 60.0, "operation_id": "o-4"}),
    ("append_turns", ("b", "s", [{"role": "user", "content": "hi"}]), {"operation_id": "o-5"}),
    ("get_session", ("b", "s"), {}),
    ("list_sessions", ("b",), {"status": "open"}),
    ("close_session", ("b", "s"), {}),
    ("delete_session", ("b", "s"), {"keep_memory": True}),
    ("cancel_operation", ("b", "o-1"), {}),
    ("retry_operation", ("b", "o-1"), {}),
    ("delete_operation", ("b", "o-1"), {}),
    ("watermarks", ("b",), {}),
    ("list_events", ("b",), {"after": 3}),
    ("list_entities", ("b",), {}),
    ("list_tags", ("b",), {"q": "t*"}),
    ("version", (), {}),
    ("health", (), {}),
    ("ready", (), {}),
    ("delete_document", ("b", "d"), {}),
    ("delete_bank", ("b",), {}),
    ("delete_banks", ("default",), {}),
]  # fmt: skip


def test_both_send_the_same_and_read_the_same() -> None:
    """One script through both clients, each with a server of its own."""
    assert {name for name, _, _ in CALLS} >= set(public_methods(Client)) - {
        "close",
        "add_memory",
        "get_memory",
        "get_entity",
    }
    with FakeServer() as one, FakeServer() as other:
        with Client(one.url) as client:
            answers = [getattr(client, name)(*args, **options) for name, args, options in CALLS]

        async def run() -> list[Any]:
            async with AsyncClient(other.url) as waiting:
                return [await getattr(waiting, name)(*args, **options) for name, args, options in CALLS]

        assert asyncio.run(run()) == answers
        assert other.received == one.received


def test_retain_always_carries_an_operation_id(server: FakeServer, client: Client) -> None:
    """A fresh one per call, the same one in its retries."""
    server.faults.append(Fault(drop=True, after=True))
    client.retain("b", "first")
    client.retain("b", "second")
    ids = [wire.RetainRequest.model_validate_json(one.body).operation_id for one in server.received]
    assert ids[0] == ids[1] != ids[2]
    assert [unit.text for unit in server.banks["b"].units()] == ["first", "second"]


HTTP = httpx.Client(base_url="http://h")


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_ids_survive_the_path(name: str) -> None:
    """Every id that is allowed comes out of the URL as it went in, and changes nothing else of the path."""
    try:
        path = bank_path(name, "documents", name)
    except ValueError:
        assert not name.strip() or name in {".", ".."}
        return
    sent = HTTP.build_request("GET", path).url.raw_path.decode("ascii")
    parts = sent.split("/")
    assert parts[:4] == ["", "v1", "default", "banks"]
    assert [unquote(part) for part in parts[4:]] == [name, "documents", name]


def test_bad_arguments_are_found_before_sending(server: FakeServer, client: Client) -> None:
    """A ValueError, and no request."""
    for wrong in (
        lambda: client.retain("b", " "),
        lambda: client.recall("b", "?"),
        lambda: client.recall("..", "x"),
        lambda: client.get_document("b", "a\x00"),
        lambda: client.put_bank("b", disposition_empathy=9),
        lambda: client.retain_many("b", [{"text": "x"}]),
    ):
        with pytest.raises(ValueError):
            wrong()
    assert server.received == []


def test_missing_things_raise_not_found(client: Client) -> None:
    """404 has its own class, with the server's explanation."""
    with pytest.raises(NotFoundError, match="nothing at documents/nope"):
        client.get_document("b", "nope")
    with pytest.raises(NotFoundError):
        client.get_memory("b", "nope")
    with pytest.raises(NotFoundError):
        client.get_entity("b", "nope")


def test_an_answer_of_another_program_is_unreadable() -> None:
    """A 200 that is not the contract's is an error of its own."""
    pages = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>hello</html>"))
    with Client("http://127.0.0.1:9", http=pages) as client, pytest.raises(UnreadableAnswerError, match="<html>"):
        client.stats("b")


def test_recall_cache_answers_until_a_write(server: FakeServer) -> None:
    """The same recall is sent once; any write through the client makes it ask again."""
    with Client(server.url, cache_ttl_s=60) as client:
        client.retain("b", "Ada moved to Lisbon.", document_id="d")
        first = client.recall("b", "Ada")
        first.results.clear()
        assert len(client.recall("b", "Ada").results) == 1
        client.recall("b", "Ada", limit=1)
        client.recall("c", "Ada")
        assert len(server.received) == 4
        client.delete_document("b", "d")
        assert client.recall("b", "Ada").results == []
        client.recall("c", "Ada")
        assert len(server.received) == 6


def test_tools_give_json_ready_answers(server: FakeServer, client: Client) -> None:
    """add_memory takes messages and any metadata; search_memory gives small plain objects."""
    client.add_memory("ada", [{"role": "user", "content": "I moved to Lisbon."}], {"app": "chat", "turn": 3})
    (found,) = client.search_memory("ada", "Lisbon")
    assert found["text"] == "I moved to Lisbon."
    assert (found["who"], found["when"]) == ("user", None)
    assert server.banks["ada"].units()[0].metadata == {"app": "chat", "turn": "3"}


def test_tools_hand_failures_to_on_error(server: FakeServer) -> None:
    """With on_error an agent goes on without memory; without it the failure is raised."""
    errors: list[LorebankError] = []
    server.faults.extend([Fault(500)] * 3)
    with Client(server.url, on_error=errors.append) as client:
        assert client.search_memory("ada", "Lisbon") == []
        assert client.add_memory("ada", "x") is None
    assert [type(error) for error in errors] == [ServerError, ServerError]
    with Client(server.url) as client, pytest.raises(ServerError):
        client.search_memory("ada", "Lisbon")


def test_official_client_works_against_the_fake_server(server: FakeServer) -> None:
    """The wire models carry the official Hindsight client through its everyday calls."""
    with Hindsight(base_url=server.url) as official:
        assert official.create_bank("b", mission="help").mission == "help"
        receipt = official.retain("b", "Ada moved to Lisbon.", tags=["t"], metadata={"speaker": "Ada"})
        assert (receipt.success, receipt.items_count) == (True, 1)
        assert official.recall("b", "Where is Ada?", include_chunks=True, tags=["t"]).results[0].tags == ["t"]
        assert official.reflect("b", "Where is Ada?").text
        assert official.list_memories("b").total == 1
        official.delete_bank("b")
        assert official.list_memories("b").total == 0
