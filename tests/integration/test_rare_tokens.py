"""Something said once in a bank, an order number or a name, ranks first; the same functions as behind the server."""

from pathlib import Path

import pytest

from loadtests.real_banks import RealMaterial, fill_bank, plant, rare_texts
from memory.ids import Scope
from memory.query import understand
from memory.recall import RecallQuery, answer, plan_candidates
from memory.recipes import DEFAULT, HYBRID
from providers.factory import ProviderSettings, build_embedder, default_cache_dir
from storage.edge_store import EdgeStore
from storage.run import run
from tests.support.engine_shard import EngineShard


@pytest.fixture(scope="module")
def embedder():
    return build_embedder(ProviderSettings(cache_dir=default_cache_dir(Path.home(), None), token_vectors=True))


@pytest.fixture(scope="module")
def material(embedder):
    return RealMaterial(embedder, seed=1)


@pytest.mark.parametrize(
    ("units", "asked"),
    [
        (100, 20),
        (1_000, 20),
        pytest.param(10_000, 200, marks=pytest.mark.long),
        pytest.param(100_000, 200, marks=pytest.mark.long),
    ],
)
def test_what_was_said_once_ranks_first(tmp_path, embedder, material, units, asked):
    store = EdgeStore(tmp_path, embedder.dim)
    try:
        scope, rare = Scope("t", "b"), rare_texts(asked)
        for _ in fill_bank(EngineShard(store), scope, units, material, plant(rare, embedder)):
            pass
        missed = []
        for one in rare:
            query = RecallQuery(one.query)
            understood = understand(one.query, ("Ada", "Ben", "Cem"))
            (embedded,) = embedder.embed_with_tokens([understood.bare])
            for recipe in (HYBRID, DEFAULT):
                found = run(store, scope, plan_candidates(query, understood, embedded, recipe))
                if answer(query, understood, found, recipe).results[0].payload["text"] != one.text:
                    missed.append((recipe.name, one.query))
        assert missed == []
    finally:
        store.close()
