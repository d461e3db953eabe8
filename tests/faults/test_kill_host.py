"""kill -9 of bank hosts, again and again, under callers that go on: one order explains every answer they were given."""

import signal
from pathlib import Path

import pytest

from tests.faults.kill_rounds import HOSTS, rounds_of

pytestmark = pytest.mark.long
BATCHES = 20
ROUNDS = 10


@pytest.fixture(autouse=True)
def two_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOREBANK_BANK_HOSTS", str(HOSTS))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_kills_of_bank_hosts_lose_and_double_nothing_and_keep_the_order(tmp_path: Path, batch: int) -> None:
    seen = rounds_of(tmp_path / "data", "BankHost", signal.SIGKILL, ROUNDS)
    assert len(seen.retains_s) == len(seen.recalls_s) == ROUNDS
    assert seen.all_recovered
    assert min(seen.acknowledged, seen.documents_read) > 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", ["BankHost", "StorageShard"])
def test_a_frozen_process_is_a_pause(tmp_path: Path, part: str) -> None:
    """Nobody wakes it: the supervisor ends it."""
    seen = rounds_of(tmp_path / "data", part, signal.SIGSTOP, 4)
    assert len(seen.retains_s) == 4
    assert seen.all_recovered
    assert min(seen.acknowledged, seen.documents_read) > 0
