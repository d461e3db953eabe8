"""Files are read ahead: records' and indexes' before vectors, no further than was said, holes not at all."""

import os
from pathlib import Path

from storage.extents import extents
from storage.read_ahead import PIECE_BYTES, _order, read_ahead

NAMES = (
    "a/payload_index/map/page_0.dat",
    "a/payload_storage/page_0.dat",
    "a/vector_storage-lexical/store/page_0.dat",
    "a/vector_storage-dense/chunk_0.mmap",
)
BIG = 1 << 40


def test_everything_is_read_and_the_dense_vectors_last(tmp_path: Path) -> None:
    for name in reversed(NAMES):
        _write(tmp_path / name, 10_000)
    assert read_ahead(tmp_path, BIG) == 40_000
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(files, key=_order)] == list(NAMES)


def test_no_more_is_read_than_was_said(tmp_path: Path) -> None:
    for name in NAMES:
        _write(tmp_path / name, 10_000)
    assert read_ahead(tmp_path, 15_000) == 15_000
    assert read_ahead(tmp_path, 0) == 0


def test_it_ends_when_it_is_stopped(tmp_path: Path) -> None:
    _write(tmp_path / NAMES[0], 3 * PIECE_BYTES)
    asked = iter([False, False, True, True, True])
    assert read_ahead(tmp_path, BIG, lambda: next(asked)) == 2 * PIECE_BYTES


def test_holes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(b"x" * 4096)
    with path.open("rb") as file:
        held = sum(end - start for start, end in extents(file.fileno(), os.fstat(file.fileno()).st_size))
    assert read_ahead(tmp_path, BIG) == held
    assert 4096 <= held <= 64 << 20  # a file system without holes holds it all


def test_no_directory_is_nothing_to_read(tmp_path: Path) -> None:
    assert read_ahead(tmp_path / "none", BIG) == 0


def _write(path: Path, length: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(length))
