"""Parquet files of generated chats, the same for the same size, and what a backfill of them must leave."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from loadtests.workload import Workload

DOCUMENT_TURNS = 20
FILE_TURNS = 50_000
BAD_EVERY = 500
"""One row in so many cannot be stored: it is blank, or its time is none."""
BEGAN_AT = datetime(2025, 1, 1, tzinfo=UTC)

REASONS = ("content must not be blank", "'never' is no ISO 8601 time and no number of seconds since 1970")
"""Why a bad row is not stored, in turns."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table; `reason`: why it cannot be stored, where it cannot."""

    bank: str
    document: str
    speaker: str
    text: str
    time: str
    reason: str | None = None


def chat_rows(turns: int, banks: int, seed: int = 1) -> Iterator[Row]:
    """Rows of chats of DOCUMENT_TURNS turns of one to three sentences, and bad rows beside the `turns` good ones."""
    workload = Workload(seed, 0, ["none"])
    lengths = random.Random(seed)
    bad = 0
    for number in range(turns):
        document, place = divmod(number, DOCUMENT_TURNS)
        facts = [workload.next_fact() for _ in range(lengths.choice((1, 1, 2, 3)))]
        at = (BEGAN_AT + timedelta(hours=document, minutes=place)).isoformat()
        bank, name = f"chats-{document % banks}", f"chat-{document}"
        yield Row(bank, name, facts[0].speaker, " ".join(fact.text for fact in facts), at)
        if number % BAD_EVERY == BAD_EVERY - 1:
            reason = REASONS[bad % len(REASONS)]
            text, time = (" ", at) if reason is REASONS[0] else ("Too late.", "never")
            yield Row(bank, f"bad-{bad}", "Nobody", text, time, reason)
            bad += 1


def write_files(folder: Path, turns: int, banks: int) -> None:
    """Parquet files of at most FILE_TURNS rows, in the order of their names."""
    folder.mkdir()
    rows: list[Row] = []
    files = 0
    for row in chat_rows(turns, banks):
        rows.append(row)
        if len(rows) == FILE_TURNS:
            _write(folder, files, rows)
            rows, files = [], files + 1
    if rows:
        _write(folder, files, rows)


def _write(folder: Path, number: int, rows: list[Row]) -> None:
    names = ("bank", "document", "speaker", "text", "time")
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    pl.DataFrame(columns).write_parquet(folder / f"chats-{number:05d}.parquet")


def file_of(place: int) -> tuple[str, int]:
    """Name of the file in which the row at a place, counted from 0, stands, and its number there, from 1."""
    number, row = divmod(place, FILE_TURNS)
    return f"chats-{number:05d}.parquet", row + 1
