"""Ranks documents by BM25, by cosine, and by two fusions of both: what any memory must beat.

An order is an intp array, (n_queries, n_docs): document indexes, best first, ties in the order of the documents.
"""

from collections.abc import Sequence

import bm25s
import numpy as np
import snowballstemmer
from numpy.typing import NDArray

Order = NDArray[np.intp]

BM25_K1 = 1.2
BM25_B = 0.75
BM25_STOP_WORDS = "english_plus"
RRF_K = 60


def score_by_bm25(documents: Sequence[str], queries: Sequence[str]) -> NDArray[np.float32]:
    """Scores, (n_queries, n_docs): Lucene's BM25 over words of two characters or more, stemmed, without stop words."""
    index = bm25s.BM25(k1=BM25_K1, b=BM25_B, method="lucene")
    index.index(_terms(documents), show_progress=False)
    known = index.vocab_dict
    scores = [
        index.get_scores(terms) if (terms := [term for term in query if term in known]) else np.zeros(len(documents))
        for query in _terms(queries)
    ]
    return np.asarray(scores, dtype=np.float32).reshape(len(queries), len(documents))


def order_by_bm25(documents: Sequence[str], queries: Sequence[str]) -> Order:
    """By BM25."""
    return order_by_score(score_by_bm25(documents, queries))


def order_by_cosine(documents: NDArray[np.float32], queries: NDArray[np.float32]) -> Order:
    """By the dot product of vectors, (n, dim) each, rows L2-normalised."""
    return order_by_score(queries @ documents.T)


def order_by_z_fusion(weighted: Sequence[tuple[float, NDArray[np.float32]]]) -> Order:
    """By the weighted sum of scores, (n_queries, n_docs) each, put on one scale for each query."""
    deviations = ((scores.std(axis=1, keepdims=True), weight, scores) for weight, scores in weighted)
    fused = sum(
        weight * (scores - scores.mean(axis=1, keepdims=True)) / (std + 1e-9) for std, weight, scores in deviations
    )
    return order_by_score(np.asarray(fused))


def order_by_fusion(orders: Sequence[Order], k: int = RRF_K) -> Order:
    """Reciprocal rank fusion: the sum of 1 / (k + rank) over the given orders of the same documents."""
    fused = sum(1 / (k + 1 + np.argsort(order, axis=1)) for order in orders)
    return order_by_score(np.asarray(fused))


def order_by_score(scores: NDArray[np.floating]) -> Order:
    """By score, (n_queries, n_docs), highest first."""
    return np.argsort(-scores, axis=1, kind="stable")


def _terms(texts: Sequence[str]) -> list[list[str]]:
    terms: list[list[str]] = bm25s.tokenize(
        list(texts),
        stopwords=BM25_STOP_WORDS,
        stemmer=snowballstemmer.stemmer("english"),
        return_ids=False,
        show_progress=False,
    )
    return terms
