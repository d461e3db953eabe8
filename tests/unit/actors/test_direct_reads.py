"""Reads by a storage shard's Unix socket: real sockets and threads, without Ray."""

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.direct_reads import MOST_CONNECTIONS, DirectReads
from actors.read_socket import ReadSocket
from actors.settings import Settings
from actors.shard_store import ShardStore
from actors.storage_shard import StorageShard
from memory.errors import DeadlineExceeded, NotFound, Unavailable
from memory.ids import Scope
from memory.protocol import TakeEpoch
from memory.recall import FoundFact, Ranked, RecallAnswer
from memory.store_calls import ReadHead, WriteRecords

SCOPE = Scope("default", "bank")
TIMEOUT_S = 20.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own" / "shard.sock"


@pytest.fixture
def echo(path: Path) -> Iterator[ReadSocket]:
    listening = ReadSocket(path, lambda scope, request: (scope, request))
    yield listening
    listening.close()


def ask(direct: DirectReads, request: Any, timeout_s: float = TIMEOUT_S) -> Any:
    return asyncio.run(direct.perform(SCOPE, request, timeout_s))


def test_an_answer_of_any_size_comes_back_whole(echo: ReadSocket, path: Path) -> None:
    direct = DirectReads(path)
    for size in (0, 1, 300_000, 5_000_000):
        scope, request = ask(direct, np.arange(size, dtype=np.uint8))
        assert scope == SCOPE
        assert np.array_equal(request, np.arange(size, dtype=np.uint8))


def test_answers_of_recall_come_back_as_they_were(path: Path) -> None:
    payload = {"kind": "chunk", "text": 'Grüße \U0001f600 "q"', "tags": ["a"], "metadata": {"n": "1"}, "seq": 2**53 + 1}
    fact = FoundFact("f", {"text": "fact", "sources": [{"unit_id": "a"}]}, 0.1 + 0.2)
    results = (
        Ranked("a", payload, 0.1 + 0.2, -1e-300, 3.0, (fact,), None, ""),
        Ranked("b", {**payload, "confidence": 0.7}, 1 / 3, 0.0, 0.0, (), 0.25, "other"),
    )
    answers = [
        RecallAnswer(results, {"steps": [1]}, incomplete=True, reranked=False, stale=True),
        RecallAnswer(results[:1]),
        RecallAnswer(()),
    ]
    listening, direct = ReadSocket(path, lambda _, request: answers[request]), DirectReads(path)
    assert [ask(direct, number) for number in range(len(answers))] == answers
    listening.close()


def test_errors_of_ours_are_raised_in_the_caller_and_the_connection_stays(path: Path) -> None:
    def refuse(scope: Scope, request: Any) -> Any:
        raise NotFound(f"{scope.bank} has no {request}")

    listening, direct = ReadSocket(path, refuse), DirectReads(path)
    for request in ("a", "b"):
        with pytest.raises(NotFound, match=f"bank has no {request}"):
            ask(direct, request)
    listening.close()


def test_what_is_no_error_of_ours_is_left_to_ray(path: Path) -> None:
    listening, direct = ReadSocket(path, lambda *_: 1 // 0), DirectReads(path)
    with pytest.raises(Unavailable):
        ask(direct, "a")
    listening.close()


def test_without_a_listener_the_read_goes_elsewhere(path: Path, tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        ask(DirectReads(tmp_path / "nobody.sock"), "a")
    listening = ReadSocket(path, lambda *_: "")
    listening.close()
    assert not path.exists()
    with pytest.raises(Unavailable):
        ask(DirectReads(path), "a")


def test_a_new_process_takes_the_place_of_one_that_was_killed(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    for name in (path.name, "of-another-run.sock"):
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(path.parent / name))
        left.close()  # as a kill leaves it: the file is there, nobody listens
    listening = ReadSocket(path, lambda *_: "new")
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert ask(DirectReads(path), "a") == "new"
    listening.close()


def test_connections_of_a_process_that_ended_are_given_up_and_new_ones_made(path: Path) -> None:
    async def scenario() -> tuple[str, str]:
        direct = DirectReads(path)
        old = ReadSocket(path, lambda *_: "old")
        first = await direct.perform(SCOPE, "a", TIMEOUT_S)
        old.close()
        (idle,) = direct._idle  # as if its process had died
        idle.shutdown(socket.SHUT_RDWR)
        new = ReadSocket(path, lambda *_: "new")
        with pytest.raises(Unavailable):
            await direct.perform(SCOPE, "a", TIMEOUT_S)
        second = await direct.perform(SCOPE, "a", TIMEOUT_S)
        new.close()
        return first, second

    assert asyncio.run(scenario()) == ("old", "new")


def test_an_answer_that_does_not_come_in_time_is_not_taken_for_the_next_one(path: Path) -> None:
    let_go = threading.Event()

    def slow(_: Scope, request: Any) -> Any:
        if request == "slow":
            let_go.wait(TIMEOUT_S)
        return request

    async def scenario() -> Any:
        direct = DirectReads(path)
        with pytest.raises(DeadlineExceeded):
            await direct.perform(SCOPE, "slow", 0.05)
        cancelled = asyncio.create_task(direct.perform(SCOPE, "slow", TIMEOUT_S))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        let_go.set()
        return [await direct.perform(SCOPE, number, TIMEOUT_S) for number in range(20)]

    listening = ReadSocket(path, slow)
    assert asyncio.run(scenario()) == list(range(20))
    listening.close()


def test_reads_go_side_by_side_up_to_a_bound_and_get_their_own_answers(path: Path) -> None:
    begun: list[Any] = []
    seen: list[int] = []
    together = threading.Barrier(MOST_CONNECTIONS + 1, lambda: seen.append(len(begun)), TIMEOUT_S)

    def answer(_: Scope, request: Any) -> Any:
        begun.append(request)
        together.wait()
        return request

    async def scenario() -> list[Any]:
        direct = DirectReads(path)
        numbers = range(2 * MOST_CONNECTIONS)
        calls = [asyncio.create_task(direct.perform(SCOPE, number, TIMEOUT_S)) for number in numbers]
        for _ in range(2):
            await asyncio.to_thread(together.wait)
        return await asyncio.gather(*calls)

    listening = ReadSocket(path, answer)
    assert asyncio.run(scenario()) == list(range(2 * MOST_CONNECTIONS))
    assert seen == [MOST_CONNECTIONS, 2 * MOST_CONNECTIONS]
    listening.close()


def test_only_the_user_can_reach_the_socket(echo: ReadSocket, path: Path) -> None:
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    path.parent.chmod(0o755)
    with pytest.raises(PermissionError):
        ReadSocket(path, lambda *_: "")
    assert path.parent.stat().st_uid == os.getuid()


def test_the_store_reads_by_the_socket_and_by_ray_where_there_is_none_and_writes_by_ray(path: Path) -> None:
    class Unreachable:
        perform: Any = None
        perform_many: Any = None

    class Ray:
        def __init__(self) -> None:
            self.perform = self
            self.perform_many = self

        def remote(self, scope: Scope, request: Any) -> Any:
            async def answer() -> Any:
                return "by Ray"

            return answer()

    listening = ReadSocket(path, lambda *_: "by the socket")
    direct = [DirectReads(path)]
    assert asyncio.run(ShardStore([Unreachable()], TIMEOUT_S, direct).perform(SCOPE, ReadHead())) == "by the socket"
    assert asyncio.run(ShardStore([Ray()], TIMEOUT_S, direct).perform(SCOPE, WriteRecords(()))) == "by Ray"
    listening.close()
    direct[0].close()
    assert asyncio.run(ShardStore([Ray()], TIMEOUT_S, direct).perform(SCOPE, ReadHead())) == "by Ray"


def test_a_write_does_not_come_by_the_socket(tmp_path: Path) -> None:
    shard = StorageShard(Settings(data=tmp_path), 0, None)
    with pytest.raises(TypeError, match="only reads"):
        shard.read_directly(SCOPE, TakeEpoch("nonce"))
