"""Ray tasks: batches of texts to vectors, in warmed worker processes that keep the model."""

from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray

from actors.settings import Settings
from actors.wiring import build_embedder
from memory.ports import Embedder

_loaded: dict[str, Embedder] = {}


@ray.remote(num_cpus=1, max_retries=3)
def embed_batch(settings: Settings, texts: list[str]) -> NDArray[np.float32]:
    """Sentence vectors of a batch, float32, (n_texts, dim); the process keeps the model between tasks."""
    key = repr(settings)
    if key not in _loaded:
        _loaded.clear()
        _loaded[key] = build_embedder(settings)
    return _loaded[key].embed(texts)


def warm_up(settings: Settings) -> list[Any]:
    """Start as many tasks as there are workers, so that each loads the model; their references.

    The texts are as long and as many as any, so that the memory they need is there before the first request.
    """
    texts = [" ".join(["warming"] * words) for words in range(1, settings.embed_batch_texts + 1)]
    return [embed_batch.remote(settings, texts) for _ in range(settings.embed_workers)]
