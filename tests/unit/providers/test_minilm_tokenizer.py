import pytest

from memory.ports import Tokenizer
from providers.minilm import load_minilm_tokenizer
from providers.minilm_tokenizer import MiniLmTokenizer
from providers.onnx_embedder import OnnxEmbedder


@pytest.fixture(scope="module")
def tokenizer() -> MiniLmTokenizer:
    return load_minilm_tokenizer()


def test_special_tokens_are_not_counted(tokenizer: MiniLmTokenizer):
    port: Tokenizer = tokenizer
    assert port.count(["", " ", "Yes.", "embeddings"]) == [0, 0, 2, 4]


def test_no_texts_give_no_counts(tokenizer: MiniLmTokenizer):
    assert tokenizer.count([]) == []


def test_long_texts_are_counted_to_the_end_also_beside_the_embedder(tokenizer: MiniLmTokenizer, int8: OnnxEmbedder):
    int8.embed(["one " * 1000])
    assert tokenizer.count(["one " * 1000, "one"]) == [1000, 1]


def test_lone_surrogates_are_counted_as_a_question_mark(tokenizer: MiniLmTokenizer):
    assert tokenizer.count(["a \ud800 b"]) == tokenizer.count(["a ? b"])
