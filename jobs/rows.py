"""Rows of files, one by one and in order: Parquet, NDJSON, CSV and JSON arrays, in memory that no file's size changes.

Parquet is read by polars in streaming batches. The text forms are read line by line (JSON arrays element by element)
instead: polars gives up a whole file for one bad line, and reads all lines of NDJSON as of one type, which turns
numbers into texts and missing keys into nulls.
"""

import csv
import glob
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
import polars as pl

from memory.errors import Unprocessable

BATCH_ROWS = 2048
MAX_ROW_BYTES = 64 << 20
"""A line or an element longer than this is rejected; so much of a file may be in memory at once."""
READ_CHARS = 1 << 20
TABLES = (".parquet", ".csv", ".tsv")
JSONS = (".ndjson", ".jsonl", ".json")
TEXTS = (".txt", ".log")
SUFFIXES = (*TABLES, *JSONS, *TEXTS)

csv.field_size_limit(MAX_ROW_BYTES)


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands in the file; `number` is its line (text forms) or its place (Parquet, JSON arrays), from 1."""

    number: int
    value: Any


@dataclass(frozen=True, slots=True)
class BadRow:
    """What could not be read, and why; number 0: the file as a whole, or all that follows."""

    number: int
    reason: str


def find_files(sources: Sequence[str]) -> list[Path]:
    """Files of names, directories (all below them that have a known suffix) and globs, each once, sorted within each.

    Raises:
        Unprocessable: a source names nothing, or a file of a form that is not known.
    """
    found: dict[Path, None] = {}
    for source in sources:
        path = Path(source)
        if path.is_dir():
            files = sorted(below for below in path.rglob("*") if below.is_file() and suffix_of(below) in SUFFIXES)
        elif path.is_file():
            files = [path]
        else:
            files = sorted(Path(name) for name in glob.glob(source, recursive=True) if Path(name).is_file())  # noqa: PTH207 - patterns may be absolute
        if not files:
            raise Unprocessable(
                f"{source}: no such file, and no file of {', '.join(SUFFIXES)} (or these with .gz) in it"
            )
        found.update(dict.fromkeys(files))
    return list(found)


def suffix_of(path: Path) -> str:
    """The suffix that says a file's form, in small letters, without `.gz`."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def read_rows(path: Path) -> Iterator[Row | BadRow]:
    """Rows of one file by its suffix, in order. What cannot be read is a BadRow, and reading goes on where it can."""
    reader = _READERS.get(suffix_of(path))
    if reader is None:
        yield BadRow(0, f"files of {suffix_of(path) or 'no suffix'} are not known; known are {', '.join(SUFFIXES)}")
        return
    try:
        yield from reader(path)
    except (OSError, EOFError, pl.exceptions.PolarsError) as exc:
        yield BadRow(0, f"cannot be read: {exc}")


def open_text(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked where it is packed with gzip."""
    return gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb")  # type: ignore[return-value]  # both read bytes


def read_lines(path: Path) -> Iterator[Row | BadRow]:
    """Lines as bytes without their ends; blank ones are left out, their numbers are not."""
    with open_text(path) as file:
        number = 0
        while line := file.readline(MAX_ROW_BYTES):
            number += 1
            whole = len(line) < MAX_ROW_BYTES or line.endswith(b"\n")
            while not whole and line:
                line = file.readline(MAX_ROW_BYTES)
                if line.endswith(b"\n"):
                    break
            if not whole:
                yield BadRow(number, f"longer than {MAX_ROW_BYTES >> 20} MiB")
                continue
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if text.strip():
                yield Row(number, text.rstrip(b"\r\n"))


def _read_ndjson(path: Path) -> Iterator[Row | BadRow]:
    for line in read_lines(path):
        if isinstance(line, BadRow):
            yield line
            continue
        try:
            yield Row(line.number, orjson.loads(line.value))
        except orjson.JSONDecodeError as exc:
            yield BadRow(line.number, f"not JSON: {exc.msg} at column {exc.colno}")


def _read_parquet(path: Path) -> Iterator[Row | BadRow]:
    number = 0
    for frame in pl.scan_parquet(path).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        for value in frame.iter_rows(named=True):
            number += 1
            yield Row(number, value)


def _read_csv(path: Path) -> Iterator[Row | BadRow]:
    separator = "\t" if suffix_of(path) == ".tsv" else ","
    with open_text(path) as raw:
        # What is no UTF-8 becomes lone surrogates, for which the row is rejected, not the file.
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="")
        rows = csv.reader(text, delimiter=separator, strict=True)
        header: list[str] | None = None
        while True:
            number = rows.line_num + 1
            try:
                cells = next(rows, None)
            except csv.Error as exc:
                yield BadRow(number, f"no {suffix_of(path)[1:].upper()}: {exc}")
                continue
            if cells is None:
                return
            if not cells:
                continue
            if header is None:
                header = [name.strip() for name in cells]
                if len(set(header)) < len(header):
                    yield BadRow(0, "two columns of the header have the same name")
                    return
            elif len(cells) != len(header):
                yield BadRow(number, f"has {len(cells)} cells, the header has {len(header)}")
            else:
                yield Row(number, {name: cell or None for name, cell in zip(header, cells, strict=True)})


def _read_json(path: Path) -> Iterator[Row | BadRow]:
    """Elements of an array, read as they come; any other document is one row."""
    with open_text(path) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape")
        window = _Window(text)
        if window.peek() != "[":
            yield from _whole(window)
            return
        window.skip()
        number = 0
        while (char := window.peek()) != "]":
            if number and char != ",":
                yield BadRow(0, f"not JSON after element {number}; what follows was not read")
                return
            if number:
                window.skip()
            number += 1
            try:
                yield Row(number, window.value())
            except ValueError as exc:
                yield BadRow(0, f"element {number}: {exc}; neither it nor what follows was read")
                return


def _whole(window: "_Window") -> Iterator[Row | BadRow]:
    if not window.peek():
        yield BadRow(0, "is empty")
        return
    try:
        yield Row(1, window.value())
    except ValueError as exc:
        yield BadRow(0, str(exc))


class _Window:
    """A part of a JSON text that grows while a value does not fit, and moves on behind each value."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._held = ""
        self._at = 0
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            while self._at < len(self._held):
                if not self._held[self._at].isspace():
                    return self._held[self._at]
                self._at += 1
            if not self._more(READ_CHARS):
                return ""

    def skip(self) -> None:
        self._at += 1

    def value(self) -> Any:
        """The value that begins here.

        Raises:
            ValueError: there is none, or it is too long.
        """
        self.peek()
        wanted = READ_CHARS
        while True:
            try:
                value, self._at = self._decoder.raw_decode(self._held, self._at)
            except json.JSONDecodeError as exc:
                if len(self._held) - self._at > MAX_ROW_BYTES:
                    raise ValueError(f"not JSON, or longer than {MAX_ROW_BYTES >> 20} MiB") from None
                if not self._more(wanted):
                    raise ValueError(f"not JSON: {exc.msg}") from None
                wanted *= 2  # each attempt reads the value from its start
            else:
                return value

    def _more(self, chars: int) -> bool:
        read = self._text.read(chars)
        self._held = self._held[self._at :] + read
        self._at = 0
        return bool(read)


_READERS: Mapping[str, Callable[[Path], Iterator[Row | BadRow]]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".ndjson": _read_ndjson,
    ".jsonl": _read_ndjson,
    ".json": _read_json,
}
