"""Each kind of damage to a directory's files: it is healed, or it is named with what to do; never is it silent."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from memory.errors import LorebankError, StoreDamaged
from memory.filters import TRUE
from memory.store_calls import InsertUnits, ListUnits, SweepPending
from storage import schema
from storage.damage import REPORT_FILE, DamageReport
from storage.edge_store import EdgeStore
from storage.probe import open_store
from tests.support import damaging
from tests.support.bank_process import activate
from tests.support.bank_state import BankState, check_bank, read_bank
from tests.support.builders import DIM, new_unit
from tests.support.damaging import FLUSHED, OTHER, SCOPE, WINDOW, copy_of, make_killed, perform, segment

Damage = Callable[[Path], None]


def also(*values: object):
    """A further case, for the long suite: each takes seconds."""
    return pytest.param(*values, marks=pytest.mark.long)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("killed") / "shard"
    make_killed(directory)
    return directory


@pytest.fixture(scope="module")
def whole(killed: Path, tmp_path_factory: pytest.TempPathFactory) -> BankState:
    """The bank in an undamaged copy."""
    store = opened(copy_of(killed, tmp_path_factory.mktemp("whole") / "shard"))
    state = read_bank(store, SCOPE)
    assert store.report is None
    store.close()
    assert len(state.texts) == 13
    return state


@pytest.fixture
def copy(killed: Path, tmp_path: Path) -> Path:
    return copy_of(killed, tmp_path / "shard")


def opened(directory: Path) -> EdgeStore:
    """The store after its banks' owners did what was due."""
    store = open_store(directory, DIM, 5.0, again=False)
    for scope in store.list_due(datetime.now(UTC), 100):
        activate(store, scope, "healer")
    return store


def reported(store: EdgeStore) -> DamageReport:
    assert store.report is not None
    return store.report


def same_content(found: BankState, wanted: BankState) -> bool:
    return (found.texts, found.live, found.counters) == (wanted.texts, wanted.live, wanted.counters)


@pytest.mark.parametrize(
    "damage",
    [
        damaging.log_garbled_in_the_middle,
        also(damaging.log_truncated),
        also(damaging.log_garbled_early),
        also(damaging.last_record_garbled),
        damaging.log_deleted,
    ],
)
def test_a_log_of_units_that_loads_short_is_noticed_and_healed_from_the_text(
    copy: Path, whole: BankState, damage: Damage, caplog: pytest.LogCaptureFixture
):
    damage(copy / schema.UNITS)
    with caplog.at_level(logging.WARNING):
        store = opened(copy)
    assert "the log of units loaded" in caplog.text
    assert same_content(read_bank(store, SCOPE), whole)
    check_bank(store, SCOPE)
    if damage is not damaging.last_record_garbled:  # which lost the counter alone
        healing = {document.document_id for document in reported(store).healing}
        assert healing
        assert healing <= {"d0", *(f"e{n}" for n in range(2, 8))}
        assert not reported(store).damaged
        (report,) = orjson.loads((copy / REPORT_FILE).read_bytes())
        assert {document["document_id"] for document in report["healing"]} == healing
    store.close()
    again = opened(copy)
    assert again.report is None
    assert same_content(read_bank(again, SCOPE), whole)
    again.close()


@pytest.mark.parametrize(
    "damage",
    [
        damaging.points_truncated,
        also(damaging.versions_truncated),
        also(damaging.segment_removed),
        also(damaging.collection_removed),
    ],
)
def test_units_that_were_on_disk_are_missed_and_their_documents_named(copy: Path, whole: BankState, damage: Damage):
    """What was written since the last flush comes back from its text; the rest when it is retained again."""
    damage(copy / schema.UNITS)
    store = opened(copy)
    report = reported(store)
    damaged = {(document.bank, document.document_id) for document in report.damaged}
    assert damaged
    assert damaged <= {*((SCOPE.bank, f"d{n}") for n in range(8)), (OTHER.bank, "d0")}
    if damage in (damaging.segment_removed, damaging.collection_removed):
        assert {*((SCOPE.bank, f"d{n}") for n in range(2, 8)), (OTHER.bank, "d0")} <= damaged
    assert any("units lost data that was on disk" in line or "units hold" in line for line in report.sentences())
    found = read_bank(store, SCOPE)
    for number in range(2, 8):
        assert found.texts[f"e{number}"] == whole.texts[f"e{number}"]
    names = [document.document_id for document in report.damaged if document.bank == SCOPE.bank]
    commands = {item.document_id: command for command in FLUSHED for item in command.items}
    again = [commands[name] for name in names if name != "d0"] + ([WINDOW[0]] if "d0" in names else [])
    perform(store, [_renamed(command) for command in again], "again")
    check_bank(store, SCOPE)
    assert same_content(read_bank(store, SCOPE), whole)
    store.close()


def _renamed(command):
    from dataclasses import replace

    return replace(command, operation_id=f"{command.operation_id}-again")


@pytest.mark.parametrize(
    "damage", [damaging.log_truncated, also(damaging.log_deleted), also(damaging.collection_removed)]
)
def test_records_that_load_short_name_the_banks_and_new_writes_are_not_taken_for_old(copy: Path, damage: Damage):
    damage(copy / schema.RECORDS)
    store = opened(copy)
    report = reported(store)
    behind = {bank.bank for bank in report.behind}
    assert SCOPE.bank in behind
    assert (OTHER.bank in behind) == (damage is damaging.collection_removed)
    perform(store, [_renamed(command) for command in (*FLUSHED, *WINDOW) if command.operation_id != "w1"], "again")
    found = read_bank(store, SCOPE)
    for name in ("d2", "d7", "e2", "e7"):
        assert "<lost>" not in found.texts[name]
    assert found.texts["e2"] == "late 2\nlast"
    assert store.call(SCOPE, ListUnits(1000, 0, TRUE)).total >= 27
    store.close()


@pytest.mark.parametrize("collection", [schema.UNITS, also(schema.RECORDS)])
@pytest.mark.parametrize("damage", [damaging.configuration_truncated, also(damaging.configuration_deleted)])
def test_a_damaged_configuration_is_made_anew(
    killed: Path, copy: Path, whole: BankState, damage: Damage, collection: str
):
    damage(copy / collection)
    store = opened(copy)
    assert store.report is None
    assert same_content(read_bank(store, SCOPE), whole)
    store.close()
    made, before = (orjson.loads((at / collection / "edge_config.json").read_bytes()) for at in (copy, killed))
    assert made.get("hnsw_config") == before.get("hnsw_config")


@pytest.mark.parametrize("collection", [schema.UNITS, also(schema.RECORDS)])
@pytest.mark.parametrize(
    ("damage", "named"),
    [
        also(damaging.log_emptied, ("wal", "move the directory `wal` aside")),
        (damaging.log_header_garbled, ("wal", "move the directory `wal` aside")),
        also(damaging.first_index_emptied, ("first-index", "move the directory `wal` aside")),
        also(damaging.segment_state_truncated, ("segment.json", "lorebank restore")),
        (damaging.version_removed, ("version.info", "lorebank restore")),
        (damaging.points_flipped, ("SIGABRT", "lorebank restore")),
    ],
)
def test_what_cannot_be_loaded_is_named_with_what_to_do(
    copy: Path, damage: Damage, named: tuple[str, ...], collection: str
):
    damage(copy / collection)
    with pytest.raises(StoreDamaged) as caught:
        open_store(copy, DIM, 5.0, again=False)
    for part in (str(copy / collection), *named):
        assert part in str(caught.value)


def test_a_truncated_vector_file_is_named(copy: Path):
    damaging.vectors_emptied(copy / schema.UNITS)
    with pytest.raises(StoreDamaged, match=r"units: a file is shorter.*lorebank restore"):
        open_store(copy, DIM, 5.0, again=False)


def test_damaged_payloads_are_named_by_the_read_that_meets_them(copy: Path):
    damaging.payloads_garbled(copy / schema.UNITS)
    with pytest.raises(StoreDamaged, match=r"units: stored payloads cannot be read.*lorebank restore"):
        _read_everything(copy)


def _read_everything(directory: Path) -> None:
    store = open_store(directory, DIM, 5.0, again=False)
    try:
        for scope in store.list_due(datetime.now(UTC), 100):
            activate(store, scope, "healer")
        store.call(SCOPE, ListUnits(1000))
    finally:
        try:
            store.close()
        except LorebankError as exc:
            print(exc)


def test_a_missing_version_can_be_copied_from_another_collection(copy: Path, whole: BankState):
    """As the message says."""
    damaging.version_removed(copy / schema.UNITS)
    with pytest.raises(StoreDamaged, match="copy the file from a segment of another collection"):
        open_store(copy, DIM, 5.0, again=False)
    source = segment(copy / schema.RECORDS) / "version.info"
    (segment(copy / schema.UNITS) / "version.info").write_bytes(source.read_bytes())
    store = opened(copy)
    assert same_content(read_bank(store, SCOPE), whole)
    store.close()


@pytest.mark.parametrize("damage", [damaging.log_emptied, also(damaging.log_header_garbled)])
def test_a_log_moved_aside_is_healed_as_the_message_says(copy: Path, whole: BankState, damage: Damage):
    damage(copy / schema.UNITS)
    (copy / schema.UNITS / "wal").rename(copy / "wal-aside")
    store = opened(copy)
    assert reported(store).healing
    assert same_content(read_bank(store, SCOPE), whole)
    store.close()


def test_a_kill_between_a_removal_and_its_count_is_no_damage(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    store = EdgeStore(tmp_path, DIM)
    perform(store, FLUSHED[:1], "f")
    left = new_unit(SCOPE, "never committed")
    store.call(SCOPE, InsertUnits((left,)))
    store.flush()
    store.call(SCOPE, SweepPending(9))
    for part in (store._units, store._records, store._marks):
        part.close()
    with caplog.at_level(logging.WARNING):
        again = opened(tmp_path)
    assert again.report is None
    assert "units hold 1 points fewer than counted" in caplog.text
    assert "nothing that was acknowledged is missing" in caplog.text
    assert not (tmp_path / REPORT_FILE).exists()
    check_bank(again, SCOPE)
    again.close()
