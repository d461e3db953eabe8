import os
from pathlib import Path

import orjson
import pytest

from memory.errors import BadSettings, SchemaMismatch, StoreDamaged
from storage import schema
from storage.backup import MANIFEST_FILE, begin_backup, check_backup, copy_file, finish_backup, restore_backup
from storage.directory import Card, write_card

CARD = Card("some-id", schema.SCHEMA_VERSION, 1, "hash/32", 32)


def quiet(_: str) -> None:
    pass


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of two small files."""
    data, target = tmp_path / "data", tmp_path / "backup"
    (data / "shard-00").mkdir(parents=True)
    write_card(data, CARD)
    begin_backup(target)
    (target / "shard-00" / "units").mkdir(parents=True)
    (target / "shard-00" / "units" / "file").write_bytes(b"content")
    finish_backup(data, target, {"shard-00": {"units": 1, "records": 0}}, quiet)
    return target


def test_holes_stay_holes_and_content_is_equal(tmp_path: Path):
    source, target = tmp_path / "a", tmp_path / "b"
    with source.open("wb") as file:
        for at in (0, 10 << 20, 33 << 20):
            file.seek(at)
            file.write(os.urandom(5000))
        file.truncate(64 << 20)
    copy_file(source, target)
    assert target.stat().st_size == 64 << 20
    assert target.stat().st_blocks <= source.stat().st_blocks + 64
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("length", [0, 1 << 20])
def test_files_without_any_data_are_copied(tmp_path: Path, length: int):
    source = tmp_path / "a"
    source.touch()
    os.truncate(source, length)
    copy_file(source, tmp_path / "deep" / "b")
    assert (tmp_path / "deep" / "b").read_bytes() == bytes(length)


def test_copying_across_file_systems_falls_back_to_reading(tmp_path: Path, monkeypatch):
    def other_file_system(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "copy_file_range", other_file_system)
    (tmp_path / "a").write_bytes(bytes(range(256)) * 9000)
    copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == bytes(range(256)) * 9000


def test_the_manifest_tells_what_the_backup_holds(backup: Path):
    manifest = check_backup(backup, quiet)
    assert (manifest.id, manifest.schema_version) == ("some-id", schema.SCHEMA_VERSION)
    assert sorted(manifest.files) == ["lorebank.json", "shard-00/units/file"]
    assert manifest.counts == {"shard-00": {"units": 1, "records": 0}}
    assert manifest.files["shard-00/units/file"].sha256 == (
        "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
    )


def test_a_backup_is_restored_byte_for_byte(backup: Path, tmp_path: Path):
    restore_backup(backup, tmp_path / "restored", quiet)
    assert (tmp_path / "restored/shard-00/units/file").read_bytes() == b"content"
    assert (tmp_path / "restored/lorebank.json").exists()
    assert not (tmp_path / "restored" / MANIFEST_FILE).exists()


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda path: (path / "shard-00/units/file").write_bytes(b"c0ntent"), "shard-00/units/file is not what it was"),
        (lambda path: (path / "shard-00/units/file").unlink(), "shard-00/units/file is missing"),
        (lambda path: (path / MANIFEST_FILE).unlink(), "no whole backup"),
        (lambda path: (path / MANIFEST_FILE).write_bytes(b"{"), "cannot be read"),
        (lambda path: (path / MANIFEST_FILE).write_bytes(b"{}"), "cannot be read"),
    ],
)
def test_a_backup_that_is_not_what_it_was_is_refused_before_anything_is_written(backup, tmp_path, damage, named):
    damage(backup)
    with pytest.raises(StoreDamaged, match=named):
        restore_backup(backup, tmp_path / "restored", quiet)
    assert not (tmp_path / "restored").exists()


def test_a_manifest_that_names_files_outside_is_refused(backup: Path, tmp_path: Path):
    manifest = orjson.loads((backup / MANIFEST_FILE).read_bytes())
    manifest["files"]["../data/lorebank.json"] = manifest["files"]["lorebank.json"]
    (backup / MANIFEST_FILE).write_bytes(orjson.dumps(manifest))
    with pytest.raises(StoreDamaged, match="outside"):
        restore_backup(backup, tmp_path / "restored", quiet)


@pytest.mark.parametrize("field", ["format", "schema_version"])
def test_a_backup_of_a_newer_version_is_refused(backup: Path, tmp_path: Path, field: str):
    manifest = orjson.loads((backup / MANIFEST_FILE).read_bytes())
    (backup / MANIFEST_FILE).write_bytes(orjson.dumps({**manifest, field: 99}))
    with pytest.raises(SchemaMismatch, match="upgrade"):
        restore_backup(backup, tmp_path / "restored", quiet)


def test_a_target_that_holds_something_is_refused(backup: Path, tmp_path: Path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(BadSettings, match="not empty"):
        restore_backup(backup, tmp_path / "taken", quiet)
    with pytest.raises(BadSettings, match="not empty"):
        begin_backup(tmp_path / "taken")


def test_progress_is_said(backup: Path, tmp_path: Path):
    lines: list[str] = []
    restore_backup(backup, tmp_path / "restored", lines.append)
    assert lines[-1] == "restored 2 of 2 files"
    assert any(line.startswith("checked") for line in lines)
