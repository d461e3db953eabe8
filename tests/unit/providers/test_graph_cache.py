import fcntl
import logging
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from memory.errors import ModelUnusable
from providers.graph_cache import cached_graph, seal_of

ROOT = Path(__file__).parents[3]
GRAPH = b"a graph of some bytes"
SEALED = GRAPH + seal_of(GRAPH)


class Builder:
    """Counts its calls."""

    def __init__(self, graph: bytes = GRAPH) -> None:
        self.calls = 0
        self._graph = graph

    def __call__(self) -> bytes:
        self.calls += 1
        return self._graph


def test_a_graph_is_built_once_and_read_afterwards(tmp_path: Path):
    build = Builder()
    folder = tmp_path / "not" / "there"
    path = cached_graph(folder, "g.onnx", build)
    assert path == folder / "g.onnx"
    assert path.read_bytes() == SEALED
    assert cached_graph(folder, "g.onnx", build) == path
    assert build.calls == 1
    assert {path.name for path in folder.iterdir()} == {"g.onnx", "g.onnx.lock"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: bytes([data[0] ^ 1]) + data[1:],
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data + b"\0",
        lambda data: GRAPH,
    ],
    ids=["empty", "one byte short", "half", "bit in graph", "bit in seal", "one byte more", "no seal"],
)
def test_a_damaged_file_is_reported_and_built_again(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage):
    path = cached_graph(tmp_path, "g.onnx", Builder())
    path.write_bytes(damage(SEALED))
    build = Builder()
    with caplog.at_level(logging.WARNING):
        cached_graph(tmp_path, "g.onnx", build)
    assert build.calls == 1
    assert path.read_bytes() == SEALED
    assert "g.onnx is damaged" in caplog.text


def test_a_sealed_file_is_still_an_onnx_model(tmp_path: Path):
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [value])
    graph.output[0].name = "y"
    path = cached_graph(tmp_path, "g.onnx", helper.make_model(graph).SerializeToString)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert [(entry.key, entry.value.encode()) for entry in model.metadata_props] == [
        ("lorebank.sha256", path.read_bytes()[-64:])
    ]


def test_threads_build_once(tmp_path: Path):
    build = Builder()
    barrier = threading.Barrier(4)

    def run(_: int) -> bytes:
        barrier.wait()
        return cached_graph(tmp_path, "g.onnx", build).read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(run, range(4))) == {SEALED}
    assert build.calls == 1


_PROCESS = """
import os, sys
from pathlib import Path
from providers.graph_cache import cached_graph

folder = Path(sys.argv[1])

def build():
    with (folder / "builds").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    return b"a graph of some bytes" * 100_000

print("ready", flush=True)
sys.stdin.readline()
print(cached_graph(folder, "g.onnx", build).stat().st_size)
"""


def _start(script: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_start_together_build_once(tmp_path: Path):
    processes = [_start(_PROCESS, tmp_path) for _ in range(4)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 4
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    sizes = {process.communicate(timeout=30)[0].strip() for process in processes}
    assert sizes == {str(len(GRAPH) * 100_000 + len(seal_of(b"")))}
    assert len((tmp_path / "builds").read_text().splitlines()) == 1


_KILLED = """
import os, signal, sys
from pathlib import Path
from providers.graph_cache import cached_graph

folder = Path(sys.argv[1])

def build():
    (folder / "g.onnx.tmp").write_bytes(b"half a gra")
    os.kill(os.getpid(), signal.SIGKILL)

cached_graph(folder, "g.onnx", build)
"""


def test_a_killed_builder_leaves_nothing_in_the_way(tmp_path: Path):
    process = _start(_KILLED, tmp_path)
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "g.onnx.tmp").exists()
    assert cached_graph(tmp_path, "g.onnx", Builder(), lock_wait_s=0).read_bytes() == SEALED
    assert not (tmp_path / "g.onnx.tmp").exists()


def test_a_builder_that_holds_the_lock_for_too_long_is_named(tmp_path: Path):
    with (tmp_path / "g.onnx.lock").open("ab") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(ModelUnusable, match=r"g\.onnx\.lock: another process has held this lock for 0 s"):
            cached_graph(tmp_path, "g.onnx", Builder(), lock_wait_s=0)


def test_an_intact_file_needs_no_lock(tmp_path: Path):
    path = cached_graph(tmp_path, "g.onnx", Builder())
    with (tmp_path / "g.onnx.lock").open("ab") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert cached_graph(tmp_path, "g.onnx", Builder(), lock_wait_s=0) == path


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnusable, match=r"file\S*: .+; choose another model cache directory"):
        cached_graph(tmp_path / "file", "g.onnx", Builder())


def test_a_failed_build_leaves_no_file_and_no_lock(tmp_path: Path):
    def fail() -> bytes:
        raise ModelUnusable("no weights")

    with pytest.raises(ModelUnusable, match="no weights"):
        cached_graph(tmp_path, "g.onnx", fail)
    assert cached_graph(tmp_path, "g.onnx", Builder(), lock_wait_s=0).read_bytes() == SEALED
