import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from memory.errors import ModelUnusable
from memory.ports import Embedder
from providers.minilm_files import find_minilm
from providers.onnx_embedder import MAX_TOKENS, OnnxEmbedder, batches_by_length


class SpySession:
    """Records the shapes of what the real session is given."""

    def __init__(self, session) -> None:
        self._session = session
        self.shapes: list[tuple[int, int]] = []

    def run(self, outputs, inputs):
        assert inputs["input_ids"].shape == inputs["attention_mask"].shape
        self.shapes.append(inputs["input_ids"].shape)
        return self._session.run(outputs, inputs)


@pytest.fixture
def spy(int8: OnnxEmbedder, monkeypatch: pytest.MonkeyPatch) -> SpySession:
    session = SpySession(int8._session)
    monkeypatch.setattr(int8, "_session", session)
    return session


def test_it_is_an_embedder(int8: OnnxEmbedder, fp32: OnnxEmbedder):
    port: Embedder = int8
    assert (port.name, port.dim) == ("all-MiniLM-L6-v2/int8", 384)
    assert (fp32.name, fp32.dim) == ("all-MiniLM-L6-v2/fp32", 384)


def test_vectors_are_float32_unit_rows_also_of_empty_and_odd_texts(int8: OnnxEmbedder, texts: list[str]):
    vectors = int8.embed([*texts, " \n", "\0", "a\ud800b", "\N{ZERO WIDTH JOINER}"])
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(texts) + 4, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)


def test_no_texts_give_an_empty_array(int8: OnnxEmbedder):
    vectors = int8.embed([])
    assert vectors.shape == (0, 384)
    assert vectors.dtype == np.float32


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("int8", 0.02)])
def test_the_model_cards_example_comes_out(precision: str, tolerance: float, request: pytest.FixtureRequest):
    embedder: OnnxEmbedder = request.getfixturevalue(precision)
    vectors = embedder.embed(
        ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    )
    assert vectors[1:] @ vectors[0] == pytest.approx([0.695, 0.943, 0.257], abs=tolerance)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_texts_vector_does_not_depend_on_its_neighbours(
    precision: str, texts: list[str], request: pytest.FixtureRequest
):
    """Padding and order change sums by float32 rounding only; int8 too, since each token has a scale of its own."""
    embedder: OnnxEmbedder = request.getfixturevalue(precision)
    alone = np.concatenate([embedder.embed([text]) for text in texts])
    order = list(range(len(texts)))
    random.Random(7).shuffle(order)
    together = embedder.embed([texts[index] for index in order])
    assert np.abs(together - alone[order]).max() <= 1e-5


def test_a_short_text_is_not_padded_to_128(int8: OnnxEmbedder, spy: SpySession):
    int8.embed(["Yes."])
    assert spy.shapes == [(1, 4)]  # [CLS] yes . [SEP]


def test_a_long_text_is_cut_at_256_tokens(int8: OnnxEmbedder, spy: SpySession):
    cut, longer = int8.embed(["one " * 254, "one " * 254 + "two three four"])
    assert spy.shapes == [(2, MAX_TOKENS)]
    assert cut == pytest.approx(longer, abs=1e-6)


def test_batches_hold_texts_of_like_length_padded_to_the_longest(int8: OnnxEmbedder, spy: SpySession):
    int8.embed(["one " * 100, "Yes.", "one " * 99, "No."] * 5)
    assert spy.shapes == [(10, 4), (5, 101), (5, 102)]


@given(st.lists(st.integers(2, 256), max_size=200))
def test_batches_cover_every_text_once_within_bounds(lengths: list[int]):
    batches = list(batches_by_length(lengths))
    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[index] for index in flat] == sorted(lengths)
    for batch in batches:
        assert 1 <= len(batch) <= 32
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= 512


def test_threads_share_an_embedder(int8: OnnxEmbedder, texts: list[str]):
    expected = int8.embed(texts)
    with ThreadPoolExecutor(4) as pool:
        for vectors in pool.map(int8.embed, [texts] * 8):
            assert np.abs(vectors - expected).max() <= 1e-6


def _tiny_graph(factor: float, width: int = 4) -> bytes:
    """(n_texts, n_tokens) -> (n_texts, width): the ids' sum times `factor`."""
    nodes = [
        helper.make_node("Cast", ["input_ids"], ["ids"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["ids", "mask"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "axis"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "factor"], ["sentence"]),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("input_ids", "attention_mask")
    ]
    constants = [
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
        numpy_helper.from_array(np.full((1, width), factor, np.float32), "factor"),
    ]
    output = helper.make_tensor_value_info("sentence", TensorProto.FLOAT, ["n", width])
    graph = helper.make_graph(nodes, "tiny", inputs, [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9).SerializeToString()


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., OnnxEmbedder]:
    def build(graph: bytes, tokenizer: Path | None = None) -> OnnxEmbedder:
        path = tmp_path / "tiny.onnx"
        path.write_bytes(graph)
        return OnnxEmbedder(path, tokenizer or find_minilm().tokenizer, name="tiny")

    return build


def test_the_width_comes_from_the_graph(make):
    embedder = make(_tiny_graph(-1.0))
    assert embedder.dim == 4
    assert embedder.embed(["x"]) == pytest.approx(np.full((1, 4), -0.5))


@pytest.mark.parametrize(
    ("factor", "message"),
    [(float("nan"), "value that is not finite"), (float("inf"), "value that is not finite"), (0.0, "vector of zeros")],
)
def test_an_answer_that_is_no_direction_is_refused(make, factor: float, message: str):
    with pytest.raises(ModelUnusable, match=f"tiny: answered with a {message}"):
        make(_tiny_graph(factor)).embed(["x"])


def test_bytes_that_are_no_graph_are_refused(make):
    with pytest.raises(ModelUnusable, match=r"tiny: onnxruntime cannot load \S+tiny\.onnx"):
        make(b"no graph")


def test_a_graph_that_fails_is_reported(make):
    embedder = make(_tiny_graph(1.0).replace(b"attention_mask", b"attention_musk"))
    with pytest.raises(ModelUnusable, match=r"tiny: the graph failed on shape \(1, 3\)"):
        embedder.embed(["x"])


def test_a_file_that_is_no_tokenizer_is_refused(make, tmp_path: Path):
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(ModelUnusable, match=r"tokenizer\.json: not a readable tokenizer"):
        make(_tiny_graph(1.0), path)
