"""Backup and restore of a data directory: a directory of copied files with a manifest of what they must be.

Collections are large on paper and small on disk: holes of a file are neither read nor written.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from memory.errors import BadSettings, SchemaMismatch, StoreDamaged
from storage import schema
from storage.damage import REPORT_FILE
from storage.directory import CARD_FILE, MARKS_FILE, Card, read_card, shard_path
from storage.extents import extents

MANIFEST_FILE: Final = "manifest.json"
FORMAT: Final = 1
_KEPT: Final = (schema.UNITS, schema.RECORDS, MARKS_FILE, REPORT_FILE)
"""What of a storage shard's directory belongs to a backup."""
_PIECE_BYTES: Final = 1 << 20

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class CopiedFile:
    """Length and SHA-256 of one file, as `sha256sum` gives it."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds; written last, so that one without it is not whole."""

    format: int
    id: str
    schema_version: int
    created_at: str
    counts: Mapping[str, Mapping[str, int]]
    """Per storage shard, the points of each collection."""
    files: Mapping[str, CopiedFile]


def begin_backup(target: Path) -> None:
    """Make the target directory.

    Raises:
        BadSettings: it holds something already, or cannot be made.
    """
    _make_empty(target, "backup")


def copy_shard(directory: Path, target: Path) -> None:
    """Copy one storage shard's files, which nobody writes meanwhile."""
    target.mkdir(parents=True, exist_ok=True)
    for name in _KEPT:
        source = directory / name
        if source.is_dir():
            for path in _files_below(source):
                copy_file(path, target / path.relative_to(directory))
        elif source.exists():
            copy_file(source, target / name)


def finish_backup(data: Path, target: Path, counts: Mapping[str, Mapping[str, int]], say: Say) -> Manifest:
    """Copy the card, hash what was copied, write the manifest; the backup is whole when this returns."""
    card = read_card(data)
    copy_file(data / CARD_FILE, target / CARD_FILE)
    manifest = Manifest(
        FORMAT,
        card.id,
        card.schema_version,
        datetime.now(UTC).isoformat(timespec="seconds"),
        counts,
        dict(_hashed(target, say)),
    )
    part = target / f"{MANIFEST_FILE}.part"
    with part.open("wb") as file:
        file.write(orjson.dumps(asdict(manifest), option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    part.replace(target / MANIFEST_FILE)
    return manifest


def restore_backup(backup: Path, data: Path, say: Say) -> Manifest:
    """Check every file of a backup and copy it to a data directory that is empty or not there yet.

    Raises:
        StoreDamaged: the backup is not whole, or a file is not what it was.
        SchemaMismatch: it was made by a newer version.
        BadSettings: the data directory holds something.
    """
    manifest = check_backup(backup, say)
    _make_empty(data, "data")
    for number, name in enumerate(sorted(manifest.files), 1):
        copy_file(backup / name, data / name)
        _say_now_and_then(say, "restored", number, len(manifest.files))
    return manifest


def check_backup(backup: Path, say: Say) -> Manifest:
    """The manifest of a backup whose files are all there and unchanged.

    Raises:
        StoreDamaged: it is not whole, or a file is not what it was; the message names the first.
        SchemaMismatch: it was made by a newer version.
    """
    manifest = _read_manifest(backup / MANIFEST_FILE)
    for number, (name, file) in enumerate(sorted(manifest.files.items()), 1):
        path = backup / name
        if not path.is_file():
            raise StoreDamaged(f"the backup {backup} is not whole: {name} is missing; use another backup")
        if CopiedFile(path.stat().st_size, _sha256(path)) != file:
            raise StoreDamaged(f"the backup {backup} is damaged: {name} is not what it was; use another backup")
        _say_now_and_then(say, "checked", number, len(manifest.files))
    return manifest


def copy_file(source: Path, target: Path) -> None:
    """Copy what a file holds; its holes stay holes. Where the file system can share blocks, it does."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as read, target.open("wb") as write:
        length = os.fstat(read.fileno()).st_size
        for start, end in extents(read.fileno(), length):
            at = start
            while at < end:
                at += _copy_range(read.fileno(), write.fileno(), at, end - at)
        os.ftruncate(write.fileno(), length)
        os.fsync(write.fileno())


def _copy_range(read: int, write: int, at: int, count: int) -> int:
    try:
        copied = os.copy_file_range(read, write, count, at, at)
    except OSError as exc:
        if exc.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        copied = os.pwrite(write, os.pread(read, min(count, _PIECE_BYTES), at), at)
    if not copied:
        raise OSError(errno.EIO, "a file became shorter while it was copied")
    return copied


def _hashed(target: Path, say: Say) -> Iterator[tuple[str, CopiedFile]]:
    paths = [path for path in _files_below(target) if path.name not in (MANIFEST_FILE, f"{MANIFEST_FILE}.part")]
    for number, path in enumerate(paths, 1):
        yield str(path.relative_to(target)), CopiedFile(path.stat().st_size, _sha256(path))
        _say_now_and_then(say, "hashed", number, len(paths))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files_below(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


def _read_manifest(path: Path) -> Manifest:
    if not path.exists():
        raise StoreDamaged(f"{path.parent} is no whole backup: it has no {MANIFEST_FILE}")
    try:
        stored = orjson.loads(path.read_bytes())
        if stored["format"] > FORMAT or stored["schema_version"] > schema.SCHEMA_VERSION:
            raise SchemaMismatch(f"the backup {path.parent} was made by a newer lorebank: upgrade first")
        files = {name: CopiedFile(**file) for name, file in stored["files"].items()}
        _refuse_paths_outside(path.parent, files)
        return Manifest(**{**stored, "files": files})
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise StoreDamaged(f"{path} cannot be read ({exc}); use another backup") from exc


def _refuse_paths_outside(backup: Path, files: Mapping[str, CopiedFile]) -> None:
    root = backup.resolve()
    for name in files:
        if not (root / name).resolve().is_relative_to(root):
            raise StoreDamaged(f"the backup {backup} names a file outside of it: {name!r}")


def _make_empty(directory: Path, what: str) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(path.name != ".lock" for path in directory.iterdir()):
            raise BadSettings(f"the {what} directory {directory} is not empty: choose another")
    except OSError as exc:
        raise BadSettings(f"the {what} directory {directory} cannot be used: {exc.strerror or exc}") from exc


def _say_now_and_then(say: Say, did: str, number: int, total: int) -> None:
    if number == total or number % max(1, total // 10) == 0:
        say(f"{did} {number} of {total} files")


def remove_unfinished(target: Path) -> None:
    """Remove what a backup that failed has copied."""
    shutil.rmtree(target, ignore_errors=True)


def shard_paths(data: Path, card: Card) -> dict[str, Path]:
    """Directories of a data directory's storage shards by name."""
    paths = [shard_path(data, index) for index in range(card.storage_shards)]
    return {path.name: path for path in paths}
