import hashlib
import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from memory.errors import ModelUnusable
from providers.minilm import GRAPH_VERSION, load_graph
from providers.minilm_files import Precision, find_minilm
from providers.minilm_graph import build_graph
from providers.onnx_embedder import OnnxEmbedder

_ERF = np.vectorize(math.erf, otypes=[np.float64])

# Digest of the graph with token vectors, weights included, of each released version.
_PINNED = {
    1: {
        "fp32": "35c05e2abbce6f312dfb9fa7eb83ec04ab3628bdd5d4b09ed7c14fb4662fb92f",
        "int8": "ba405f09488227410cca112a20bfc6ffc12623433a6600671efc295f247b2da3",
    },
}


class NumpyMiniLm:
    """BERT as its paper and config.json describe it, one text at a time in float64, sharing no code with ours."""

    def __init__(self, weights: Path) -> None:
        self._w = {name: tensor.astype(np.float64) for name, tensor in load_file(weights).items()}

    def tokens(self, ids: list[int]) -> NDArray[np.float64]:
        """Last hidden states, (n_tokens, 384)."""
        w = self._w
        x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(6):
            at = f"encoder.layer.{layer}"
            q, k, v = (self._dense(x, f"{at}.attention.self.{part}") for part in ("query", "key", "value"))
            heads = []
            for head in range(12):
                of = slice(32 * head, 32 * head + 32)
                scores = q[:, of] @ k[:, of].T / math.sqrt(32)
                weights = np.exp(scores - scores.max(axis=1, keepdims=True))
                heads.append(weights / weights.sum(axis=1, keepdims=True) @ v[:, of])
            attended = self._dense(np.hstack(heads), f"{at}.attention.output.dense")
            x = self._norm(x + attended, f"{at}.attention.output.LayerNorm")
            inner = self._dense(x, f"{at}.intermediate.dense")
            inner = 0.5 * inner * (1 + _ERF(inner / math.sqrt(2)))
            x = self._norm(x + self._dense(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
        return x

    def sentence(self, ids: list[int]) -> NDArray[np.float64]:
        """Mean over the tokens, unit length, (384,)."""
        mean = self.tokens(ids).mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _dense(self, x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        return x @ self._w[f"{name}.weight"].T + self._w[f"{name}.bias"]

    def _norm(self, x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        centred = x - x.mean(axis=1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
        return scaled * self._w[f"{name}.weight"] + self._w[f"{name}.bias"]


@pytest.fixture(scope="module")
def reference() -> NumpyMiniLm:
    return NumpyMiniLm(find_minilm().weights)


@pytest.fixture(scope="module", params=["fp32", "int8"])
def precision(request: pytest.FixtureRequest) -> Precision:
    return request.param


@pytest.fixture(scope="module")
def graph(model_cache: Path, precision: Precision) -> Path:
    """With token vectors."""
    return load_graph(model_cache, find_minilm().weights, precision, tokens=True)


@pytest.fixture(scope="module")
def model(graph: Path) -> onnx.ModelProto:
    return onnx.load(graph)


@pytest.fixture(scope="module")
def encoded(texts: list[str]) -> list[list[int]]:
    wordpiece = Tokenizer.from_file(str(find_minilm().tokenizer))
    wordpiece.no_padding()
    wordpiece.enable_truncation(256)
    return [wordpiece.encode(text).ids for text in texts]


@pytest.fixture(scope="module")
def sentences(reference: NumpyMiniLm, encoded: list[list[int]]) -> NDArray[np.float64]:
    return np.stack([reference.sentence(ids) for ids in encoded])


def test_fp32_agrees_with_an_independent_float64_forward(
    fp32: OnnxEmbedder, texts: list[str], sentences: NDArray[np.float64]
):
    cosines = (fp32.embed(texts) * sentences).sum(axis=1)
    assert cosines.min() >= 0.999999


def test_int8_stays_close_to_fp32(int8: OnnxEmbedder, fp32: OnnxEmbedder, texts: list[str]):
    cosines = (int8.embed(texts) * fp32.embed(texts)).sum(axis=1)
    # 0.9954 on average and 0.983 at worst over 600 turns of dialogue; whole-batch scales gave 0.9927 and 0.975.
    assert cosines.mean() >= 0.99
    assert cosines.min() >= 0.97


def test_token_vectors_are_the_normalised_last_hidden_states(
    graph: Path, precision: Precision, reference: NumpyMiniLm, encoded: list[list[int]]
):
    least = 0.999999 if precision == "fp32" else 0.9
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["sentence", "token_vectors"]
    pair = [encoded[3], encoded[1]]  # the second is shorter, hence padded
    width = len(pair[0])
    ids = np.array([row + [0] * (width - len(row)) for row in pair])
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in pair])
    sentence, vectors = session.run(None, {"input_ids": ids, "attention_mask": mask})
    assert vectors.shape == (2, width, 384)
    for row, tokens in enumerate(pair):
        hidden = reference.tokens(tokens)
        hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
        assert (vectors[row, : len(tokens)] * hidden).sum(axis=1).min() >= least
        assert np.linalg.norm(vectors[row, : len(tokens)], axis=1) == pytest.approx(1, abs=1e-5)
        assert not vectors[row, len(tokens) :].any()
        assert sentence[row] @ reference.sentence(tokens) >= least


def test_only_standard_ops_are_used(model: onnx.ModelProto):
    assert {node.domain for node in model.graph.node} == {""}
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 20)]


def test_int8_sums_of_two_products_fit_in_16_bits(model: onnx.ModelProto, precision: Precision):
    """Processors without VNNI clip larger ones: their vectors would differ from everyone else's."""
    constants = {constant.name: constant for constant in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMulInteger"]
    assert len(products) == (24 if precision == "int8" else 0)
    for node in products:
        weight = numpy_helper.to_array(constants[node.input[1]])
        assert weight.dtype == np.int8
        assert 2 * 255 * np.abs(weight.astype(int)).max() < 2**15


def test_a_changed_graph_has_a_new_version(model: onnx.ModelProto, precision: Precision):
    digest = hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()
    assert digest == _PINNED[GRAPH_VERSION][precision], (
        "the graph changed: raise providers.minilm.GRAPH_VERSION, or caches keep the old one, and pin its digest here"
    )


def test_a_missing_tensor_is_named(tmp_path: Path):
    path = tmp_path / "part.safetensors"
    save_file({"embeddings.word_embeddings.weight": np.zeros((2, 384), np.float32)}, path)
    with pytest.raises(ModelUnusable, match=r"part\.safetensors: tensor embeddings\.\S+ is missing"):
        build_graph(path, "fp32")


def test_weights_that_are_no_safetensors_are_named(tmp_path: Path):
    path = tmp_path / "junk.safetensors"
    path.write_bytes(b"junk")
    with pytest.raises(ModelUnusable, match=r"junk\.safetensors: not a readable"):
        build_graph(path, "fp32")
