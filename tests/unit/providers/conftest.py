"""What the provider tests share: one graph cache for the session, since building a graph takes a second."""

from pathlib import Path

import pytest

from providers.minilm import load_minilm
from providers.onnx_embedder import OnnxEmbedder


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="session")
def fp32(model_cache: Path) -> OnnxEmbedder:
    return load_minilm(model_cache, "fp32")


@pytest.fixture(scope="session")
def int8(model_cache: Path) -> OnnxEmbedder:
    return load_minilm(model_cache, "int8")


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return [
        "",
        "Yes.",
        "That is a happy person",
        "I went to the market with Caroline yesterday and bought apples, pears and some honest bread.",
        "Wir treffen uns am 3. Mai um 14:30 Uhr in der Küche, näher am Fenster.",
        "昨日は友達と東京タワーに行きました。",
        "Congratulations!!! 🎉🎉 So proud of you 😀 #winning @home https://example.org/?q=1&r=2",
        "def area(r):\n    return 3.14159 * r ** 2  # the circle's\n",
        "[SEP] [MASK] [CLS] are words of the tokenizer, and here they are data.",
        "supercalifragilisticexpialidocious " * 9,
        " ".join(f"Turn {turn}: Melanie said she would run the charity race again." for turn in range(9)),
    ]
