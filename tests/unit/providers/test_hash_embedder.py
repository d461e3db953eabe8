import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.ports import Embedder
from providers.hash_embedder import HashEmbedder

ROOT = Path(__file__).parents[3]
EMBEDDER = HashEmbedder()
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=200)  # lone surrogates too


def test_it_is_an_embedder():
    port: Embedder = HashEmbedder(64)
    assert (port.name, port.dim) == ("hash/64", 64)
    assert EMBEDDER.dim == 384
    assert port.embed([]).shape == (0, 64)


@given(st.lists(ANY_TEXT, max_size=8), st.sampled_from([1, 2, 7, 384]))
def test_every_text_has_a_finite_unit_vector(texts: list[str], dim: int):
    vectors = HashEmbedder(dim).embed(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts), dim)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-6)


@given(st.lists(ANY_TEXT, min_size=1, max_size=6))
def test_a_texts_vector_does_not_depend_on_its_neighbours(texts: list[str]):
    together = EMBEDDER.embed(texts)
    assert np.array_equal(together[::-1], EMBEDDER.embed(texts[::-1]))
    assert np.array_equal(together[0], EMBEDDER.embed(texts[:1])[0])


@given(st.lists(st.sampled_from(["apple", "river", "stone", "cloud", "maple", "lantern"]), min_size=1), st.randoms())
def test_the_order_of_words_does_not_matter(words: list[str], shuffler):
    shuffled = words[:]
    shuffler.shuffle(shuffled)
    pair = EMBEDDER.embed([" ".join(words), ", ".join(shuffled).upper()])
    assert pair[0] @ pair[1] == pytest.approx(1, abs=1e-6)


def test_shared_words_and_shared_letters_bring_texts_nearer():
    query, same, inflected, other = EMBEDDER.embed(
        ["the red bicycle", "a bicycle, bright red", "reddish bicycles", "quarterly tax report"]
    )
    assert query @ same > query @ inflected > query @ other
    assert abs(query @ other) < 0.2


def test_a_very_long_word_is_embedded():
    assert EMBEDDER.embed(["x" * 100_000]).shape == (1, 384)


def test_processes_with_other_hash_seeds_agree():
    script = (
        "from providers.hash_embedder import HashEmbedder; print(HashEmbedder(8).embed(['Hello, world', '']).tolist())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PYTHONHASHSEED": "123"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert run.stdout.strip() == str(HashEmbedder(8).embed(["Hello, world", ""]).tolist())


def test_a_dim_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        HashEmbedder(0)
