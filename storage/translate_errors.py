"""The engine's exceptions -> our error tree, from one table. The edge engine raises plain Exception with a text."""

import re

from memory.errors import LorebankError, StoreDamaged, StoreLocked, Unavailable, Unprocessable

EDGE_TABLE: tuple[tuple[str, type[LorebankError], str], ...] = (
    (r"WouldBlock", StoreLocked, "another process holds the store's directory"),
    (r"Shard is not initialized", Unavailable, "the store is closing"),
    (r"[Dd]imension|[Vv]ector.*(size|length)", Unprocessable, "a vector has the wrong length"),
    (r"^failed to (extract|parse)|surrogates not allowed|exceeds 64-bit", Unprocessable, "a value cannot be stored"),
    (
        r"[Cc]orrupt|decompress|WAL|segment|No such file|[Ii]/?[Oo] error|os error",
        StoreDamaged,
        "the store cannot be read",
    ),
)
"""Pattern in the engine's text, our error, what it means; the first that matches counts."""


def translate_edge(exc: Exception) -> LorebankError:
    """The error to raise in place of one of the edge engine's; what no row names is damage, never a retry."""
    text = str(exc)
    for pattern, error, meaning in EDGE_TABLE:
        if re.search(pattern, text):
            return error(f"{meaning}: {text}")
    return StoreDamaged(f"the store answered with an unknown error: {text}")
