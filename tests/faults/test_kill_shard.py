"""kill -9 of the storage shard's process, again and again, under callers that go on: they notice a pause at most."""

import signal
from pathlib import Path

import pytest

from tests.faults.kill_rounds import HOSTS, rounds_of

pytestmark = pytest.mark.long
BATCHES = 6
ROUNDS = 10


@pytest.mark.timeout(900)
@pytest.mark.parametrize("batch", range(BATCHES))
def test_kills_of_the_storage_shard_lose_and_double_nothing(
    tmp_path: Path, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOREBANK_BANK_HOSTS", str(HOSTS))
    seen = rounds_of(tmp_path / "data", "StorageShard", signal.SIGKILL, ROUNDS)
    assert len(seen.retains_s) == len(seen.recalls_s) == ROUNDS
    assert seen.all_recovered
    assert min(seen.acknowledged, seen.documents_read) > 0
