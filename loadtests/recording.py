"""What a load run writes down: every request, and every retain that was acknowledged."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

NO_ANSWER = 0
"""Status of a request that got none."""


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request: its route without ids, the status, and how long it took."""

    route: str
    status: int
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A document the server said it has, and the texts of its items."""

    bank_id: str
    document_id: str
    texts: list[str]


@dataclass(slots=True)
class Record:
    """All of one run."""

    requests: list[RequestRow] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_bytes(orjson.dumps(asdict(self)))


def read_record(path: Path) -> Record:
    """What `Record.write` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not such a file.
    """
    raw = orjson.loads(path.read_bytes())
    try:
        return Record(
            requests=[RequestRow(**row) for row in raw["requests"]],
            acknowledged=[Acknowledged(**row) for row in raw["acknowledged"]],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the record of a load run ({error!r})") from error
