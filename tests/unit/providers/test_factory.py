import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memory.errors import BadSettings
from providers.factory import ProviderSettings, build_embedder, default_cache_dir
from providers.hash_embedder import HashEmbedder
from providers.http_embedder import OpenAICompatibleEmbedder
from providers.onnx_embedder import OnnxEmbedder

ROOT = Path(__file__).parents[3]
HTTP: dict[str, Any] = {
    "embedder": "http",
    "embedding_base_url": "http://127.0.0.1:1/v1",
    "embedding_model": "m",
    "embedding_api_key": "sk-secret",
}


def _settings(**fields: Any) -> ProviderSettings:
    return ProviderSettings(**{"cache_dir": Path("/nowhere")} | fields)


def test_minilm_in_int8_is_the_default(model_cache: Path, int8: OnnxEmbedder):
    embedder = build_embedder(_settings(cache_dir=model_cache))
    assert isinstance(embedder, OnnxEmbedder)
    assert (embedder.name, embedder.dim) == ("all-MiniLM-L6-v2/int8", 384)


def test_the_precision_and_one_thread_reach_the_session(model_cache: Path, fp32: OnnxEmbedder):
    embedder = build_embedder(_settings(cache_dir=model_cache, precision="fp32"))
    assert isinstance(embedder, OnnxEmbedder)
    assert embedder.name == "all-MiniLM-L6-v2/fp32"
    options = embedder._session.get_session_options()
    assert options.intra_op_num_threads == 1
    for pool in ("intra_op", "inter_op"):
        assert options.get_session_config_entry(f"session.{pool}.allow_spinning") == "0"


def test_an_http_embedder_is_built_without_asking_the_endpoint():
    embedder = build_embedder(_settings(**HTTP, embedding_dim=8))
    assert isinstance(embedder, OpenAICompatibleEmbedder)
    assert (embedder.name, embedder.dim) == ("m", 8)
    embedder.close()


@pytest.mark.parametrize(("dim", "expected"), [(None, 384), (16, 16)])
def test_the_hash_embedder_takes_a_dim(dim: int | None, expected: int):
    embedder = build_embedder(_settings(embedder="hash", embedding_dim=dim))
    assert isinstance(embedder, HashEmbedder)
    assert embedder.dim == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"embedder": "word2vec"}, "embedder must be one of .*, is 'word2vec'"),
        ({"precision": "int4"}, "precision must be one of fp32, int8, is 'int4'"),
        ({"embedding_dim": 0}, "embedding_dim must be at least 1, is 0"),
        ({"embedder": "http"}, "base URL must begin with http"),
        (HTTP | {"embedding_model": ""}, "model must not be empty"),
    ],
)
def test_settings_are_checked_when_they_are_made(fields: dict[str, Any], message: str):
    with pytest.raises(BadSettings, match=message):
        _settings(**fields)


def test_the_key_is_not_shown():
    assert "sk-secret" not in repr(_settings(**HTTP))


def test_the_cache_follows_xdg():
    home = Path("/home/ada")
    assert default_cache_dir(home, None) == Path("/home/ada/.cache/lorebank/models")
    assert default_cache_dir(home, "") == Path("/home/ada/.cache/lorebank/models")
    assert default_cache_dir(home, "relative") == Path("/home/ada/.cache/lorebank/models")
    assert default_cache_dir(home, "/var/cache") == Path("/var/cache/lorebank/models")


def test_the_package_imports_neither_ray_nor_qdrant_nor_onnx():
    absent = {"ray", "qdrant_client", "qdrant_edge", "onnx"}
    script = f"import sys, providers.factory; print(sorted({absent} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert run.stdout.strip() == "[]"
