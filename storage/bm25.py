"""BM25 term weights of the keyword lane, the same for every engine, which applies IDF."""

import re
from functools import cache
from math import isclose
from typing import Any

from qdrant_edge import Bm25, Bm25Config, TokenizerType

AVERAGE_TOKENS = 32.0
"""Expected length of a chunk after stop words: what BM25 normalises length against."""
K1 = 1.2
B = 0.75

_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f]")
"""Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""


@cache
def _model(tokenizer: TokenizerType) -> Bm25:
    return Bm25(Bm25Config(k=K1, b=B, avg_len=AVERAGE_TOKENS, language="english", tokenizer=tokenizer))


def _model_for(text: str) -> Bm25:
    """By words; where words are not spaced, by a tokenizer that finds them (and cuts codes such as "XJ-48" apart)."""
    return _model(TokenizerType.Multilingual if _UNSPACED.search(text) else TokenizerType.Word)


def document_weights(text: str) -> Any:
    """Sparse vector of a text to be found, as qdrant_edge.SparseVector."""
    return _model_for(text).embed_document(text)


def query_weights(text: str) -> Any:
    """Sparse vector of a text to find by, as qdrant_edge.SparseVector."""
    return _model_for(text).embed_query(text)


def is_like(stored: Any, text: str) -> bool:
    """Whether a stored sparse vector (indices and values; None: there is none) is that of a text to be found."""
    made = document_weights(text)
    wanted = dict(zip(made.indices, made.values, strict=True))
    found = dict(zip(stored.indices, stored.values, strict=True)) if stored is not None else {}
    return found.keys() == wanted.keys() and all(isclose(found[token], wanted[token], rel_tol=1e-4) for token in found)
