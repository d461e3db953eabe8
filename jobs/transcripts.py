"""Plain transcripts: a file is a document, a line `Speaker: text` a turn; other lines go on with the turn before.

A time may stand in front, in brackets: `[2024-05-01 10:30] Ana: text`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from jobs.parts import Origin, Part, Reject, turn
from jobs.rows import BadRow, read_lines
from lorebank.wire.fields import parse_instant
from memory.chunking import speaker_prefix
from memory.commands import Item

_TIME = re.compile(r"^\s*\[(?P<time>[0-9][0-9T:. +Z-]{7,40})\]\s*")


def read_transcript(path: Path, name: str, bank: str, document_id: str) -> Iterator[Part | Reject]:
    """Turns of one file, in order; `name` is what the file is called in rejects."""
    waiting: list[str] = []
    began = 0
    speaker: str | None = None
    time: str | None = None

    def told() -> Iterator[Part | Reject]:
        if not any(line.strip() for line in waiting):
            return
        origin = Origin(name, began)
        try:
            said = turn("\n".join(waiting).strip("\n"), name=speaker, timestamp=time)
        except ValueError as exc:
            yield Reject(origin, str(exc), document_id)
        else:
            yield Part(bank, document_id, Item((said,), document_id), origin)

    for row in read_lines(path):
        if isinstance(row, BadRow):
            yield Reject(Origin(name, row.number), row.reason, document_id)
            continue
        line = row.value.decode("utf-8", "surrogateescape")
        stamp = _time_of(line)
        rest = line[stamp[1] :] if stamp else line
        named = speaker_prefix(rest)
        if named is None and not stamp and waiting:
            waiting.append(line)
            continue
        yield from told()
        began, speaker, time = row.number, named, stamp[0] if stamp else None
        waiting = [rest.split(":", 1)[1].strip() if named else rest]
    yield from told()


def _time_of(line: str) -> tuple[str, int] | None:
    """The time in front of a line, and where the rest begins."""
    match = _TIME.match(line)
    if match is None:
        return None
    try:
        parse_instant(match["time"])
    except ValueError:
        return None
    return match["time"], match.end()
