"""Makes any Python string one that tokenizers and JSON encoders take."""

from collections.abc import Iterable


def well_formed(texts: Iterable[str]) -> list[str]:
    """The same texts with lone surrogates, which no UTF-8 encoder accepts, replaced by "?"."""
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
