import numpy as np
import pytest

from memory.late import TOKEN_BYTES, TOKEN_DIM, match_tokens, pack_tokens
from providers.hash_embedder import HashEmbedder
from providers.minilm import load_minilm
from providers.onnx_embedder import OnnxEmbedder
from providers.token_vectors import (
    MOST_TOKENS,
    TokenPacker,
    load_projection,
    principal_directions,
    pseudo_sentences,
)


@pytest.fixture(scope="module")
def embedder(model_cache) -> OnnxEmbedder:
    return load_minilm(model_cache, "int8", tokens=True)


def tokens_of(embedder: OnnxEmbedder, text: str) -> int:
    (made,) = embedder.embed_with_tokens([text])
    return len(made.tokens) // TOKEN_BYTES


def test_sentence_vectors_are_those_without_token_vectors(embedder: OnnxEmbedder, int8: OnnxEmbedder, texts: list[str]):
    assert (embedder.name, embedder.dim) == (int8.name, int8.dim)
    made = embedder.embed_with_tokens(texts)
    assert np.stack([one.dense for one in made]) == pytest.approx(int8.embed(texts), abs=1e-6)
    assert [one.tokens for one in int8.embed_with_tokens(texts)] == [b""] * len(texts)
    assert embedder.embed_with_tokens([]) == []


def test_a_texts_token_vectors_do_not_depend_on_its_neighbours(embedder: OnnxEmbedder, texts: list[str]):
    together = embedder.embed_with_tokens(texts)
    for text, one in zip(texts, together, strict=True):
        (alone,) = embedder.embed_with_tokens([text])
        assert len(alone.tokens) == len(one.tokens)
        halves = np.frombuffer(alone.tokens, np.uint8) != np.frombuffer(one.tokens, np.uint8)
        assert halves.mean() < 0.02 if len(halves) else one.tokens == b"", "but for rounding at an edge"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Who are you, and what is it?", 0),
        ("It's what I'm for, you'll be with us.", 0),
        ("The bicycle is red.", 2),
        ("bicycle " * 100, MOST_TOKENS),
        ("日", 1),
    ],
)
def test_what_carries_no_content_is_left_out(embedder: OnnxEmbedder, text: str, tokens: int):
    assert tokens_of(embedder, text) == tokens


def test_the_rarest_stay_where_a_text_is_long(embedder: OnnxEmbedder):
    packer = TokenPacker(embedder.vocabulary, load_projection())
    common, rare = embedder.vocabulary["year"], embedder.vocabulary["telescope"]
    vectors = np.eye(384, dtype=np.float32)[np.arange(100) % 384]
    ids = [common] * 60 + [rare] * 40
    kept = packer.pack(ids, vectors)
    assert len(kept) == MOST_TOKENS * TOKEN_BYTES
    assert kept[-40 * TOKEN_BYTES :] == packer.pack([rare] * 40, vectors[60:])


def test_a_word_is_nearest_to_its_like(embedder: OnnxEmbedder):
    query, *units = (one.tokens for one in embedder.embed_with_tokens(["doctor", "a physician", "a bicycle", "a song"]))
    assert match_tokens(query, units)[0].argmax() == 0


def test_the_projection_is_orthonormal_and_that_of_its_recipe(embedder: OnnxEmbedder):
    shipped = load_projection()
    assert shipped.shape == (embedder.dim, TOKEN_DIM)
    assert shipped.T @ shipped == pytest.approx(np.eye(TOKEN_DIM), abs=1e-3)
    sentences = pseudo_sentences(embedder.vocabulary)
    assert (len(sentences), len(set(sentences))) == (600, 600)
    rows = np.concatenate([vectors[1:-1] for vectors in embedder.token_vectors(sentences[:60])])
    kept = np.linalg.norm(rows @ shipped) ** 2 / np.linalg.norm(rows) ** 2
    best = principal_directions(rows)
    assert np.linalg.norm(rows @ best) ** 2 / np.linalg.norm(rows) ** 2 > kept > 0.6


def test_principal_directions_keep_most_and_have_a_fixed_sign():
    rows = np.diag([1.0, 5.0, 3.0]).astype(np.float32)
    assert principal_directions(rows, 2).tolist() == [[0, 0], [1, 0], [0, 1]]
    assert principal_directions(-rows, 2).tolist() == [[0, 0], [1, 0], [0, 1]]


def test_embedders_without_token_vectors_say_so():
    (made,) = HashEmbedder(8).embed_with_tokens(["red apple"])
    assert made.tokens == pack_tokens(np.zeros((0, TOKEN_DIM), np.float32)) == b""
