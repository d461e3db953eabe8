import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memory.errors import ModelUnusable
from providers import minilm
from providers.minilm import graph_file_name, load_minilm, load_minilm_tokenizer
from providers.minilm_files import TOKENIZER_SHA256, WEIGHTS_SHA256, MiniLmFiles, find_minilm
from providers.onnx_embedder import OnnxEmbedder

ROOT = Path(__file__).parents[3]


def test_file_names_tell_weights_precision_outputs_and_version():
    assert graph_file_name("int8") == "all-MiniLM-L6-v2-53aa51172d14-int8-v1.onnx"
    assert graph_file_name("fp32", tokens=True) == "all-MiniLM-L6-v2-53aa51172d14-fp32-tokens-v1.onnx"


@pytest.mark.parametrize(("broken", "expected"), [("weights", WEIGHTS_SHA256), ("tokenizer", TOKENIZER_SHA256)])
def test_another_file_is_refused_even_when_the_graph_is_cached(
    int8: OnnxEmbedder, model_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, expected: str
):
    wrong = tmp_path / "other"
    wrong.write_bytes(b"other")
    paths = {name: getattr(find_minilm(), name) for name in ("weights", "tokenizer")} | {broken: wrong}
    monkeypatch.setattr(minilm, "find_minilm", lambda: MiniLmFiles(**paths))
    with pytest.raises(ModelUnusable, match=f"other: expected SHA-256 {expected}, found"):
        load_minilm(model_cache)


def test_the_counter_refuses_another_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wrong = tmp_path / "tokenizer.json"
    wrong.write_text("{}")
    monkeypatch.setattr(minilm, "find_minilm", lambda: MiniLmFiles(weights=wrong, tokenizer=wrong))
    with pytest.raises(ModelUnusable, match=f"expected SHA-256 {TOKENIZER_SHA256}"):
        load_minilm_tokenizer()


def test_a_damaged_graph_is_built_again(int8: OnnxEmbedder, model_cache: Path, tmp_path: Path, texts: list[str]):
    name = graph_file_name("int8")
    good = (model_cache / name).read_bytes()
    (tmp_path / name).write_bytes(good[: len(good) // 3])
    assert np.array_equal(load_minilm(tmp_path).embed(texts[:3]), int8.embed(texts[:3]))
    assert (tmp_path / name).read_bytes() == good


_PROCESS = """
import sys
from pathlib import Path
from providers.minilm import load_minilm

print("ready", flush=True)
sys.stdin.readline()
vector = load_minilm(Path(sys.argv[1])).embed(["concurrent builders"])[0]
print(vector.tobytes().hex(), "onnx" in sys.modules)
"""


def test_processes_that_start_on_an_empty_cache_agree(tmp_path: Path, int8: OnnxEmbedder):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 3
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    assert {vector for vector, _ in answers} == {int8.embed(["concurrent builders"])[0].tobytes().hex()}
    # One builds, and the others do not even import what building needs.
    assert sorted(imported for _, imported in answers) == ["False", "False", "True"]
    name = graph_file_name("int8")
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.lock"}
