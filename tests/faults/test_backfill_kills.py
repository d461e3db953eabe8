"""kill -9 of a backfill at random moments: each row is stored once in the end, or rejected with its reason."""

from pathlib import Path

import pytest

from loadtests.backfill_job import BackfillRun
from loadtests.backfill_kills import kill_rounds
from loadtests.transcript_files import write_files
from lorebank.own_server import OwnServer, free_port, up_command
from tests.faults.test_kill_tree import check_invariants

TURNS, BANKS, KILLS = 12_000, 5, 10


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_backfill_killed_ten_times_stores_exactly_its_rows(tmp_path: Path) -> None:
    write_files(tmp_path / "chats", TURNS, BANKS)
    run = BackfillRun(tmp_path / "chats", tmp_path / "data", tmp_path / "job", ("--concurrency", "2"))
    with OwnServer([*up_command(free_port(), run.data), "--embedder", "hash"], on_line=lambda _: None) as server:
        rounds = kill_rounds(server.url, run, TURNS, BANKS, KILLS)
    print(rounds.sentence)
    assert (rounds.kills, rounds.documents, rounds.rejects) == (KILLS, TURNS // 20, TURNS // 500)
    check_invariants(run.data)
