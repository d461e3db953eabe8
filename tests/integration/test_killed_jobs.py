"""Export, deletion of a tenant, compaction and repair, each killed at ten random moments with kill -9."""

import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pytest

from actors.client import BankClient
from actors.settings import Settings
from memory.commands import DeleteDocument, Item, Message, Retain
from memory.ids import Scope
from storage.directory import MARKS_FILE, Space, prepare_directory, shard_path
from storage.edge_store import EdgeStore
from tests.integration.test_moving_long import job
from tests.support.bank_process import perform_all
from tests.support.bank_state import read_bank
from tests.support.builders import DIM
from tests.support.planting import NOT_A_NUMBER, Vandal, own

pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

KILLS = 10
BANKS, DOCUMENTS = 36, 30
AT = datetime(2026, 3, 1, tzinfo=UTC)


def killed_at_work(given: dict[str, Any], advanced: Callable[[], int], chance: random.Random) -> str:
    """Start the job and kill it after some more was done, KILLS times; then let it end. What it printed."""
    for kill in range(KILLS):
        before, wanted = advanced(), chance.randrange(1, 4)
        process = subprocess.Popen(**given)
        deadline_s = time.monotonic() + 120
        while advanced() < before + wanted and process.poll() is None:
            assert time.monotonic() < deadline_s, f"kill {kill}: nothing was done"
            time.sleep(0.002)
        assert process.poll() is None, f"it ended before kill {kill}"
        process.kill()
        process.communicate()
    done = subprocess.run(**given, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


async def fill(client: BankClient, tenant: str) -> None:
    """Banks of small talks, each of a few turns."""
    for bank in range(BANKS):
        items = tuple(
            Item(
                tuple(Message(f"turn {turn} of {number} in {bank}", "user", "Ana", AT) for turn in range(3)),
                f"talk-{number}",
                timestamp=AT + timedelta(hours=number),
            )
            for number in range(DOCUMENTS)
        )
        await client.retain(Scope(tenant, f"bank-{bank}"), Retain(f"r{bank}", items))


def tables(out: Path) -> dict[str, Any]:
    """What an export holds, by file below its banks."""
    found: dict[str, Any] = {}
    for path in sorted((out / "banks").rglob("*")):
        if path.suffix == ".parquet":
            found[str(path.relative_to(out))] = pl.read_parquet(path).rows()
    return found


def test_an_export_killed_again_and_again_holds_what_an_undisturbed_one_does(
    deployment: Settings, loop: asyncio.AbstractEventLoop, tmp_path: Path
) -> None:
    async def begin() -> None:
        await fill(await BankClient.connect(deployment), "exported")

    loop.run_until_complete(begin())
    whole, out, seed = tmp_path / "whole", tmp_path / "out", random.SystemRandom().randrange(1_000_000)
    given = job("export", tmp_path, str(out), "--tenant", "exported", "--json")
    report = orjson.loads(killed_at_work(given, lambda: len(list(out.glob("banks/*/bank.json"))), random.Random(seed)))
    undisturbed = subprocess.run(
        **job("export", tmp_path, str(whole), "--tenant", "exported", "--json"), timeout=300, check=False
    )
    assert undisturbed.returncode == 0, undisturbed.stderr
    made, wanted = tables(out), tables(whole)
    print(f"seed {seed}: {KILLS} kills, then {report['counts']}; {len(made)} files as in an undisturbed export")
    assert len([name for name in made if "documents" in name]) == BANKS
    assert made == wanted
    read = subprocess.run(
        **job("imports", tmp_path, str(out), "--tenant", "elsewhere", "--json"), timeout=300, check=False
    )
    assert orjson.loads(read.stdout)["documents"]["retained"] == BANKS * DOCUMENTS, read.stderr


def test_deletion_of_a_tenant_killed_again_and_again_leaves_nothing_and_others_alone(
    deployment: Settings, loop: asyncio.AbstractEventLoop, tmp_path: Path
) -> None:
    async def begin() -> None:
        client = await BankClient.connect(deployment)
        await fill(client, "leaving")
        await fill(client, "staying")

    async def banks(tenant: str) -> int:
        return (await (await BankClient.connect(deployment)).list_banks(tenant, 1, 0)).total

    loop.run_until_complete(begin())
    seed = random.SystemRandom().randrange(1_000_000)
    given = job("tenant", tmp_path, "delete", "leaving", "--yes", "--json")
    said = killed_at_work(given, lambda: BANKS - loop.run_until_complete(banks("leaving")), random.Random(seed))
    print(f"seed {seed}: {KILLS} kills, then {said}")
    assert (loop.run_until_complete(banks("leaving")), loop.run_until_complete(banks("staying"))) == (0, BANKS)
    scanned = subprocess.run(**job("tenant", tmp_path, "scan", "leaving"), timeout=100, check=False)
    assert (scanned.returncode, "nothing of what they held is left" in scanned.stdout) == (0, True)

    async def left() -> None:
        client = await BankClient.connect(deployment)
        for bank in range(BANKS):
            names = tuple(f"talk-{number}" for number in range(DOCUMENTS))
            assert len(await client.get_documents(Scope("staying", f"bank-{bank}"), names)) == DOCUMENTS

    loop.run_until_complete(left())


# -- of a directory that no server has open

OPEN = Scope("default", "ana")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A closed directory with a bank of which a part was deleted; in memory: to open one is to wait for the disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else tmp_path) as place:
        yield filled(Path(place) / "data", monkeypatch)


def filled(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory, made."""
    prepare_directory(made, 1, Space(f"hash/{DIM}", DIM))
    monkeypatch.setenv("LOREBANK_EMBEDDER", "hash")
    monkeypatch.setenv("LOREBANK_EMBEDDING_DIM", str(DIM))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    store = EdgeStore(shard_path(made, 0), DIM)
    talks = [
        Retain(f"r{n}", (Item(tuple(Message(f"{n} said {m}", "user") for m in range(8)), f"d{n}"),)) for n in range(60)
    ]
    perform_all(store, OPEN, [*talks, *(DeleteDocument(f"x{n}", f"d{n}") for n in range(0, 60, 3))])
    store.close()
    return made


def copied(data: Path, name: str) -> Path:
    """A copy beside it; `cp` keeps the holes of sparse files."""
    subprocess.run(["cp", "-R", str(data), str(data.with_name(name))], check=True)
    return data.with_name(name)


def has_open(process: "subprocess.Popen[bytes]", data: Path) -> bool:
    """Whether it has files of the directory in its memory."""
    try:
        return str(shard_path(data, 0)) in Path(f"/proc/{process.pid}/maps").read_text(errors="replace")
    except OSError:
        return False


def killed_while_open(data: Path, seed: int, *command: str) -> tuple[int, str]:
    """kill -9 of a job that has the directory open, KILLS times. How many runs ended before, what the last one said."""
    chance, whole = random.Random(seed), copied(data, "undisturbed")
    begun: dict[str, Any] = {"cwd": data.parent, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    args = [sys.executable, "-m", *command, "--data"]
    longest_s = at_work_s(subprocess.Popen([*args, str(whole)], **begun), whole)
    kills = ended = 0
    while kills < KILLS:
        assert ended < 10 * KILLS, "it is never caught at work"
        fresh = copied(data, "fresh")
        process = subprocess.Popen([*args, str(data)], **begun)
        while not has_open(process, data) and process.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, longest_s))
        caught = process.poll() is None
        process.kill()
        process.wait()
        shutil.rmtree(fresh) if caught else restored(fresh, data)
        kills, ended = kills + caught, ended + (not caught)
    done = subprocess.run([*args, str(data)], cwd=data.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return ended, done.stdout


def at_work_s(process: "subprocess.Popen[bytes]", data: Path) -> float:
    """Seconds from the moment it has the directory open to its end."""
    while not has_open(process, data) and process.poll() is None:
        time.sleep(0.002)
    began_s = time.monotonic()
    assert process.wait(120) == 0
    return time.monotonic() - began_s


def restored(copy: Path, data: Path) -> None:
    """A run that ended before it was killed does not count: what it did is undone."""
    shutil.rmtree(data)
    copy.rename(data)


def test_a_compaction_killed_again_and_again_ends_as_an_undisturbed_one(data: Path) -> None:
    store = EdgeStore(shard_path(data, 0), DIM)
    before = read_bank(store, OPEN)
    store.close()
    seed = random.SystemRandom().randrange(1_000_000)
    ended, said = killed_while_open(data, seed, "jobs.compact")
    print(f"seed {seed}: {KILLS} kills, {ended} runs ended before; {said}")
    assert not [path for path in data.rglob("*") if path.name.endswith((".making", ".old"))]
    assert not [path for path in data.rglob("*") if path.is_file() and b"42 said 3" in path.read_bytes()]
    store = EdgeStore(shard_path(data, 0), DIM)
    assert store.losses == []
    assert read_bank(store, OPEN) == before
    store.close()


def test_a_repair_killed_again_and_again_ends_as_an_undisturbed_one(data: Path) -> None:
    store = EdgeStore(shard_path(data, 0), DIM)
    before = read_bank(store, OPEN)
    vandal = Vandal(store, OPEN)
    for number in range(1, 60, 3):
        vandal.vector(f"{number} said 1", NOT_A_NUMBER)
        vandal.add_unit(f"orphan {number}", **own(f"orphan {number}", document_id=f"d{number}"))
    store.close()
    (shard_path(data, 0) / MARKS_FILE).unlink()
    seed = random.SystemRandom().randrange(1_000_000)
    ended, said = killed_while_open(data, seed, "jobs.verify", "--repair", "--vectors", "all")
    print(f"seed {seed}: {KILLS} kills, {ended} runs ended before; {said}")
    store = EdgeStore(shard_path(data, 0), DIM)
    after = read_bank(store, OPEN)
    assert (after.texts, after.versions, after.live) == (before.texts, before.versions, before.live)
    store.close()
    again = subprocess.run(
        [sys.executable, "-m", "jobs.verify", "--vectors", "all", "--data", str(data)],
        cwd=data.parent,
        capture_output=True,
        check=False,
    )
    assert again.returncode == 0, again.stdout
