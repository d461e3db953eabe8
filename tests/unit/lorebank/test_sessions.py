"""Session and AsyncSession over a fake server, and the session commands."""

import asyncio
import contextlib

import pytest
from typer.testing import CliRunner

from lorebank import AsyncClient, AsyncSession, Client, ConflictError, Session, wire
from lorebank.cli import app
from lorebank.testing import FakeServer, Fault


def texts(server: FakeServer, session_id: str) -> list[str]:
    return [unit.text for unit in server.banks["b"].documents[session_id]]


def test_a_session_is_opened_appended_to_and_closed() -> None:
    with FakeServer() as server, Client(server.url) as client:
        with Session(client, "b", tags=["t"]) as chat:
            chat.append("one", {"role": "assistant", "content": "two"})
            assert client.recall("b", "two").results[0].document_id == chat.id
        assert client.get_session("b", chat.id).state == "closed"
        assert texts(server, chat.id) == ["one", "two"]
        with pytest.raises(ConflictError):
            chat.append("late")
        assert chat.delete().memory_units_deleted == 2


def test_a_session_left_by_an_error_stays_open_and_can_be_resumed() -> None:
    with FakeServer() as server, Client(server.url) as client:
        with contextlib.suppress(RuntimeError), Session(client, "b", session_id="s") as chat:
            chat.append("one")
            raise RuntimeError("the program dies")
        again = Session.resume(client, "b", "s")
        assert again.append("two").turns == 2
        assert again.close().state == "closed"
        with pytest.raises(ValueError, match="no id"):
            assert Session(client, "b").id


def test_a_lost_answer_appends_nothing_twice() -> None:
    with FakeServer() as server, Client(server.url) as client:
        chat = Session(client, "b", session_id="s")
        chat.open()
        server.faults.append(Fault(drop=True, after=True))
        assert chat.append("once").turns == 1
        ids = {
            wire.AppendTurnsRequest.model_validate_json(one.body).operation_id
            for one in server.received
            if one.path.endswith("/turns")
        }
        assert (len(ids), texts(server, "s")) == (1, ["once"])


def test_concurrent_appends_keep_the_order_of_their_calls() -> None:
    async def talk(server: FakeServer) -> None:
        async with AsyncClient(server.url) as client, AsyncSession(client, "b", session_id="s") as chat:
            await asyncio.gather(*(chat.append(f"turn {number}") for number in range(20)))
            assert (await AsyncSession.resume(client, "b", "s").append("last")).turns == 21

    with FakeServer() as server:
        asyncio.run(talk(server))
        assert texts(server, "s") == [*(f"turn {number}" for number in range(20)), "last"]


def test_the_commands() -> None:
    def run(*args: str, **options: str) -> str:
        result = CliRunner().invoke(app, ["session", *args, "--url", server.url], **options)
        assert result.exit_code == 0, result.output
        return result.output

    with FakeServer() as server:
        assert "open" in run("open", "b", "--id", "s", "--tag", "t")
        assert "turns 0 to 1" in run("append", "b", "s", "one", "two", "--speaker", "Ann")
        assert "turns 2 to 3" in run("append", "b", "s", "-", input="three\n\nfour\n")
        assert texts(server, "s") == ["one", "two", "three", "four"]
        assert "1 of 1" in run("list", "b")
        assert '"turns": 4' in run("show", "b", "s", "--json")
        assert "closed by caller" in run("close", "b", "s")
        assert "4 units" in run("delete", "b", "s", "--yes")
        failed = CliRunner().invoke(app, ["session", "show", "b", "s", "--url", server.url])
        assert (failed.exit_code, "404" in failed.output) == (1, True)
