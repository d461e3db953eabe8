"""What was deleted is in no file of a data directory once it was compacted; what is there is as it was."""

import asyncio
from pathlib import Path

from actors.offline import OfflineStore
from actors.settings import load_settings
from jobs import compact, tenant
from jobs.auditing import Task, verify
from jobs.leftovers import scan
from memory.commands import DeleteBank, Item, Message, Retain
from memory.ids import Scope
from storage.directory import Space, prepare_directory, shard_path
from storage.edge_store import EdgeStore
from tests.support.bank_process import perform_all
from tests.support.bank_state import read_bank
from tests.support.builders import DIM

GONE, KEPT = Scope("acme", "ana"), Scope("other", "bo")
SAID = Item((Message("the xylophonic zebra hums", role="user", name="Ann"),), "quixotic-letter", tags=("ultramarine",))
WORDS = (b"xylophonic", b"quixotic", b"ultramarine")


def holding(data: Path, word: bytes) -> list[str]:
    return sorted(str(path) for path in data.rglob("*") if path.is_file() and word in path.read_bytes())


def test_no_file_holds_what_was_deleted_after_a_compaction(tmp_path, monkeypatch, capsys):
    data = tmp_path / "data"
    prepare_directory(data, 1, Space(f"hash/{DIM}", DIM))
    monkeypatch.setenv("LOREBANK_EMBEDDER", "hash")
    monkeypatch.setenv("LOREBANK_EMBEDDING_DIM", str(DIM))
    monkeypatch.chdir(tmp_path)
    store = EdgeStore(shard_path(data, 0), DIM)
    perform_all(store, GONE, [Retain("r", (SAID,)), DeleteBank("d")])
    perform_all(store, KEPT, [Retain("r", (Item("what stays is here", "letter"),))])
    before = read_bank(store, KEPT)
    store.close()
    assert holding(data, WORDS[0]), "the engine keeps what it has removed"
    with OfflineStore(load_settings(data=data)) as offline:
        found = asyncio.run(scan(offline, "acme"))
        assert found.clean
        assert found.banks["ana"].emptied
    assert compact.main(["--data", str(data)]) == 0
    assert "swept 1 bank;" in capsys.readouterr().out
    assert not [path for word in WORDS for path in holding(data, word)]
    assert tenant.main(["--data", str(data), "scan", "acme"]) == 0
    assert "nothing of what they held is left" in capsys.readouterr().out
    with OfflineStore(load_settings(data=data)) as offline:
        assert asyncio.run(scan(offline, "acme")).banks["ana"].nothing
        task = Task(dim=DIM, vectors="all")
        assert asyncio.run(verify(offline, task, repair=False, advance=lambda done, total: None)).left.clean
    store = EdgeStore(shard_path(data, 0), DIM)
    assert store.losses == []
    assert read_bank(store, KEPT) == before
    store.close()


def test_a_compaction_killed_between_its_renames_loses_nothing(tmp_path):
    store = EdgeStore(tmp_path / "shard", DIM)
    perform_all(store, KEPT, [Retain("r", (Item("what stays is here", "letter"),))])
    before = read_bank(store, KEPT)
    store.close()
    units = tmp_path / "shard" / "units"
    units.rename(units.with_name("units.old"))
    store = EdgeStore(tmp_path / "shard", DIM)
    assert read_bank(store, KEPT) == before
    store.close()


def test_what_a_killed_compaction_has_half_made_goes_with_the_next(tmp_path):
    store = EdgeStore(tmp_path / "shard", DIM)
    perform_all(store, KEPT, [Retain("r", (Item("what stays is here", "letter"),))])
    for left in ("units.1234.making", "units.1234.making.5678.making", "records.9.making", "units.old"):
        (tmp_path / "shard" / left).mkdir()
        (tmp_path / "shard" / left / "page.dat").write_bytes(b"what was deleted since")
    store.compact()
    assert not holding(tmp_path, b"what was deleted since")
