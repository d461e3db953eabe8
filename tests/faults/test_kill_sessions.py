"""kill -9 of every process during live conversations: no turn lost, doubled or out of its place."""

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from lorebank.own_server import OwnServer, free_port, up_command
from tests.faults.killing import kill_all, tree_of
from tests.faults.test_kill_tree import check_invariants

BANK = "/v1/default/banks/talk"
SESSIONS = 6


@dataclass
class Talk:
    """One session: the turns acknowledged, and the append that got no answer."""

    turns: list[str] = field(default_factory=list)
    unanswered: tuple[str, list[str]] | None = None


class Talker(threading.Thread):
    """Appends to one session until the server is gone; what had no answer is sent again under its operation id."""

    def __init__(self, url: str, session: str, talk: Talk, seed: int) -> None:
        super().__init__(daemon=True)
        self._url, self._session, self._talk = url, session, talk
        self._random = random.Random(seed)
        self._asked = threading.Event()
        self.first_acknowledged = threading.Event()

    def run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._asked.is_set():
                start = len(self._talk.turns)
                turns = [f"{self._session} turn {start + n:05d}" for n in range(self._random.randint(1, 5))]
                operation, turns = self._talk.unanswered or (f"{self._session}-{self._random.getrandbits(64)}", turns)
                self._talk.unanswered = (operation, turns)
                body = {"messages": [{"content": turn} for turn in turns], "operation_id": operation}
                try:
                    answer = client.post(f"{BANK}/sessions/{self._session}/turns", json=body)
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    self._talk.turns.extend(turns)
                    self._talk.unanswered = None
                    assert answer.json()["turns"] == len(self._talk.turns)
                    self.first_acknowledged.set()
                else:
                    assert answer.status_code in (429, 503), answer.text

    def stop(self) -> None:
        self._asked.set()


def start(data: Path) -> OwnServer:
    return OwnServer([*up_command(free_port(), data), "--session-debounce-s", "0.5"], on_line=lambda _: None)


def check(url: str, talks: dict[str, Talk]) -> int:
    """Every session reads as what was acknowledged, and perhaps the append under way; how many turns that are."""
    turns = 0
    with httpx.Client(base_url=url, timeout=60) as client:
        for session, talk in talks.items():
            found = client.get(f"{BANK}/documents/{session}").json()["original_text"].split("\n")
            under_way = [talk.turns + talk.unanswered[1]] if talk.unanswered else []
            assert found in [talk.turns, *under_way]
            results = client.post(f"{BANK}/memories/recall", json={"query": talk.turns[-1], "limit": 3}).json()
            assert talk.turns[-1] in [result["text"] for result in results["results"]]
            turns += len(found)
    return turns


def folded(url: str, session: str) -> bool:
    """Whether the document's listing shows every turn: what depends on the whole was done after the restart."""
    with httpx.Client(base_url=url, timeout=60) as client:
        rows = client.get(f"{BANK}/documents", params={"q": session, "limit": 10}).json()["items"]
        turns = client.get(f"{BANK}/sessions/{session}").json()["chunks"]
    return bool(rows) and rows[0]["memory_unit_count"] == turns


def kill_rounds(data: Path, rounds: int, seed: int) -> None:
    moments = random.Random(seed)
    talks = {f"s{number}": Talk() for number in range(SESSIONS)}
    for number in range(rounds + 1):
        with start(data) as server:
            if number == 0:
                for session in talks:
                    httpx.post(f"{server.url}{BANK}/sessions", json={"session_id": session}, timeout=60)
            else:
                checked = check(server.url, talks)
                deadline = time.monotonic() + 30
                while not all(folded(server.url, session) for session in talks):
                    assert time.monotonic() < deadline, "a killed owner's debounced work was forgotten"
                    time.sleep(0.1)
            if number == rounds:
                for session in talks:
                    assert httpx.post(f"{server.url}{BANK}/sessions/{session}/close", timeout=60).status_code == 200
                assert check(server.url, talks) == checked
                print(f"seed {seed}: {rounds} rounds, {checked} turns of {SESSIONS} sessions at the end")
                break
            processes = tree_of(server.pid)
            talkers = [Talker(server.url, s, talk, moments.getrandbits(32)) for s, talk in talks.items()]
            for talker in talkers:
                talker.start()
            assert all(talker.first_acknowledged.wait(60) for talker in talkers)
            threading.Event().wait(moments.uniform(0.0, 2.0))
            kill_all(tree_of(server.pid) + processes)
            for talker in talkers:
                talker.stop()
            for talker in talkers:
                talker.join(60)
    check_invariants(data)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_turn_is_lost_doubled_or_reordered_over_five_kills(tmp_path: Path) -> None:
    kill_rounds(tmp_path / "data", rounds=5, seed=random.SystemRandom().randrange(1_000_000))
