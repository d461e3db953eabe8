"""What this machine can do without a server: bare embedding throughput, and embed-and-search latency in process."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory.ports import Embedder
from providers.factory import ProviderSettings, build_embedder, default_cache_dir

BATCH_TEXTS = 32
TOP_COUNT = 100


@dataclass(frozen=True, slots=True)
class EmbedderFloor:
    """Texts per second of the bare embedder: one session, and as many single-thread sessions as cores."""

    sessions: int
    single_texts_per_s: float
    parallel_texts_per_s: float

    @property
    def best_texts_per_s(self) -> float:
        """The most this machine did."""
        return max(self.single_texts_per_s, self.parallel_texts_per_s)


def product_embedder(*, token_vectors: bool = False) -> Embedder:
    """The server's default embedder: MiniLM in int8, one thread a session.

    Raises:
        ModelUnusable: its files or its cache cannot be used.
    """
    return build_embedder(ProviderSettings(cache_dir=default_cache_dir(Path.home(), None), token_vectors=token_vectors))


def core_count() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


def measure_embedder(texts: Sequence[str], embedders: Sequence[Embedder]) -> EmbedderFloor:
    """Embed all texts with the first embedder alone, then with all of them at once, one thread each."""
    batches = batches_by_length(texts)
    for embedder in embedders:
        embedder.embed(batches[0])  # the first call of a session is slower
    return EmbedderFloor(
        sessions=len(embedders),
        single_texts_per_s=_texts_per_s(batches, embedders[:1]),
        parallel_texts_per_s=_texts_per_s(batches, embedders),
    )


def batches_by_length(texts: Sequence[str], batch_texts: int = BATCH_TEXTS) -> list[list[str]]:
    """All texts, shortest first, in batches as the server makes them."""
    ordered = sorted(texts, key=len)
    return [ordered[start : start + batch_texts] for start in range(0, len(ordered), batch_texts)]


def _texts_per_s(batches: Sequence[Sequence[str]], embedders: Sequence[Embedder]) -> float:
    # The longest first, so that no session is left alone with one at the end. Sharing the iterator is safe: in CPython
    # a step of a list's iterator is atomic.
    waiting = reversed(batches)

    def work(embedder: Embedder) -> None:
        for batch in waiting:
            embedder.embed(batch)

    started_s = time.perf_counter()
    with ThreadPoolExecutor(len(embedders)) as threads:
        for done in [threads.submit(work, embedder) for embedder in embedders]:
            done.result()
    return sum(len(batch) for batch in batches) / (time.perf_counter() - started_s)


class RecallFloor:
    """Embeds a query and takes the nearest of a bank's vectors, float32, (n_units, dim), in this thread."""

    def __init__(self, embedder: Embedder, vectors: NDArray[np.float32]) -> None:
        self._embedder = embedder
        self._vectors = vectors

    def measure_ms(self, query: str) -> float:
        """Milliseconds of one query."""
        started_s = time.perf_counter()
        vector = self._embedder.embed([query])[0]
        # einsum and not @: a BLAS would spread the product over threads.
        nearest_first(np.einsum("ij,j->i", self._vectors, vector), TOP_COUNT)
        return (time.perf_counter() - started_s) * 1000


def nearest_first(scores: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """Indexes of the `count` highest scores, (n,), highest first."""
    count = min(count, len(scores))
    top = np.argpartition(-scores, count - 1)[:count]
    return top[np.argsort(-scores[top], kind="stable")]
