"""The edge engine's exceptions -> our error tree, by one table: it raises plain Exception with a text."""

import re
from typing import Final

from memory.errors import LorebankError, StoreDamaged, StoreLocked, Unavailable, Unprocessable

RESTORE: Final = "restore a backup (`lorebank restore`)"
_LOG_LOST: Final = (
    f"{RESTORE}, or move the directory `wal` aside and start again: that gives up what was written since the last"
    " flush, and units of it are embedded again where their text is there"
)

EDGE_TABLE: tuple[tuple[str, type[LorebankError], str, str], ...] = (
    (r"WouldBlock", StoreLocked, "another process holds the store's directory", ""),
    (r"Shard is not initialized", Unavailable, "the store is closing", ""),
    (r"out of bounds, file contains", StoreDamaged, "a file is shorter than it was written", RESTORE),
    (r"ID tracker", StoreDamaged, "the list of points of a segment is damaged", RESTORE),
    (r"[Dd]imension|[Vv]ector.*(size|length)", Unprocessable, "a vector has the wrong length", ""),
    (
        r"^failed to (extract|parse)|surrogates not allowed|exceeds 64-bit",
        Unprocessable,
        "a value cannot be stored",
        "",
    ),
    (r"WAL", StoreDamaged, "the log cannot be read", _LOG_LOST),
    (r"decompress|decode value", StoreDamaged, "stored payloads cannot be read", RESTORE),
    (r"segment", StoreDamaged, "a segment cannot be read", RESTORE),
    (r"[Cc]orrupt|No such file|[Ii]/?[Oo] error|os error", StoreDamaged, "the store cannot be read", RESTORE),
)
"""Pattern in the engine's text, our error, what it means, what to do; the first that matches counts."""


def translate_edge(exc: Exception, where: str = "") -> LorebankError:
    """The error to raise in place of one of the edge engine's; what no row names is damage, never a retry.

    where: the collection's directory, for a message that names it.
    """
    text = str(exc)
    place = f"{where}: " if where else ""
    for pattern, error, meaning, remedy in EDGE_TABLE:
        if re.search(pattern, text):
            return error(f"{place}{meaning}: {text}" + (f"; {remedy}" if remedy else ""))
    return StoreDamaged(f"{place}the store answered with an unknown error: {text}; {RESTORE}")
