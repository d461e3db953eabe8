"""A backup made while writers write holds everything acknowledged before it began, and no half of anything."""

import asyncio
import threading
from pathlib import Path

import pytest

from actors.data_directory import back_up, inspect, restore
from actors.settings import load_settings
from actors.storage_shard import StorageShard
from actors.wiring import prepare_data
from memory.errors import BadSettings, StoreLocked
from memory.ids import Scope
from storage.backup import begin_backup, finish_backup, restore_backup
from storage.directory import Space, shard_path
from storage.edge_store import EdgeStore
from tests.support.bank_process import activate, perform_all
from tests.support.bank_state import check_bank, read_bank
from tests.support.builders import DIM, retain

SPACE = Space("hash", DIM)
WRITERS = 4


class ShardEngine:
    """A storage shard in this process, as an engine of whole requests."""

    def __init__(self, shard: StorageShard) -> None:
        self._shard = shard

    async def perform(self, scope, request):
        return await asyncio.to_thread(self._shard.perform, scope, request)


class Writer(threading.Thread):
    """Retains one document after the other in a bank of its own until it is stopped."""

    def __init__(self, shard: StorageShard, number: int) -> None:
        super().__init__(daemon=True)
        self.scope = Scope("t", f"bank-{number}")
        self.acknowledged: list[str] = []
        self.some = threading.Event()
        self._shard = shard
        self._asked = threading.Event()

    def run(self) -> None:
        asyncio.run(self._write())

    async def _write(self) -> None:
        from actors.bank import Bank
        from tests.support.bank_process import bank_ports

        bank = Bank(self.scope, bank_ports(ShardEngine(self._shard), self.scope.bank), 8)
        number = 0
        while not self._asked.is_set():
            document = f"d{number}"
            await bank.perform(retain(f"first {number}", f"second {number}", op=document, document_id=document))
            self.acknowledged.append(document)
            number += 1
            if number == 5:
                self.some.set()

    def stop(self) -> None:
        self._asked.set()


@pytest.fixture
def settings(tmp_path: Path):
    made = load_settings(data=tmp_path / "data", embedder="hash", embedding_dim=DIM)
    prepare_data(made, SPACE)
    return made


def test_a_backup_between_writes_holds_all_that_was_acknowledged_before(settings, tmp_path: Path):
    shard = StorageShard(settings, 0, SPACE)
    writers = [Writer(shard, number) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    assert all(writer.some.wait(60) for writer in writers)
    before = {writer.scope: list(writer.acknowledged) for writer in writers}
    begin_backup(tmp_path / "backup")
    counts = shard.copy_to(tmp_path / "backup" / "shard-00")
    for writer in writers:
        writer.stop()
        writer.join(60)
    finish_backup(settings.data, tmp_path / "backup", {"shard-00": counts}, print)
    shard.close()
    assert any(len(writer.acknowledged) > len(before[writer.scope]) for writer in writers), "nobody wrote on"

    restore_backup(tmp_path / "backup", tmp_path / "restored", print)
    store = EdgeStore(shard_path(tmp_path / "restored", 0), DIM)
    assert store.report is None
    for scope, documents in before.items():
        activate(store, scope, "restored")
        check_bank(store, scope)
        texts = read_bank(store, scope).texts
        for document in documents:
            number = document[1:]
            assert texts[document] == f"first {number}\nsecond {number}"
    store.close()


def test_a_directory_without_a_server_is_backed_up_restored_and_inspected(settings, tmp_path: Path):
    store = EdgeStore(shard_path(settings.data, 0), DIM)
    scope = Scope("t", "b")
    perform_all(store, scope, [retain("one", "two")], "n")
    state = read_bank(store, scope)
    store.close()
    lines: list[str] = []
    done = back_up(settings.data, tmp_path / "backup", lines.append)
    assert lines[0] == "copying shard-00"
    assert done.points["shard-00"]["units"] == 3, "two chunks and the counter"
    assert restore(tmp_path / "backup", tmp_path / "restored", print).files == done.files
    assert inspect(tmp_path / "restored") == []
    again = EdgeStore(shard_path(tmp_path / "restored", 0), DIM)
    assert read_bank(again, scope) == state
    again.close()
    with pytest.raises(BadSettings, match="not empty"):
        restore(tmp_path / "backup", tmp_path / "restored", print)


def test_a_directory_that_is_none_is_said_so(tmp_path: Path):
    with pytest.raises(BadSettings, match="no data directory"):
        back_up(tmp_path, tmp_path / "backup", print)
    assert not (tmp_path / "backup").exists()


def test_a_directory_in_use_is_not_inspected_or_restored_to(settings, tmp_path: Path):
    from actors.data_lock import DataLock

    with DataLock(settings.data):
        with pytest.raises(StoreLocked, match="process"):
            inspect(settings.data)
        with pytest.raises(StoreLocked):
            restore(tmp_path / "backup", settings.data, print)
