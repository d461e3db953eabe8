import subprocess
import sys
from pathlib import Path

import pytest

from memory.errors import StoreDamaged, StoreLocked
from storage import probe as probing
from storage.directory import CLEAN_FILE
from storage.edge_store import EdgeStore
from storage.probe import ATTEMPTS_FILE, open_store, probe
from tests.support.builders import DIM


@pytest.fixture(scope="module")
def closed(tmp_path_factory) -> Path:
    """A directory that was closed; tests leave it so."""
    directory = tmp_path_factory.mktemp("shard")
    EdgeStore(directory, DIM).close()
    return directory


@pytest.fixture
def probed(monkeypatch) -> list[Path]:
    """Directories that were probed."""
    paths: list[Path] = []

    def watched(directory: Path, dim: int, lock_timeout_s: float) -> str:
        paths.append(directory)
        return probe(directory, dim, lock_timeout_s)

    monkeypatch.setattr(probing, "probe", watched)
    return paths


def test_a_closed_directory_is_opened_without_a_probe_and_one_left_open_with_one(closed, probed):
    store = open_store(closed, DIM, 1.0, again=False)
    assert not (closed / CLEAN_FILE).exists()
    store.close()
    assert (closed / CLEAN_FILE).exists()
    assert probed == []
    (closed / CLEAN_FILE).unlink()
    open_store(closed, DIM, 1.0, again=False).close()
    assert probed == [closed]


def test_a_process_that_keeps_ending_while_it_opens_gives_up_until_a_new_start(closed, probed):
    (closed / ATTEMPTS_FILE).write_text("2")
    with pytest.raises(StoreDamaged, match=r"ended 2 times while opening.*lorebank restore"):
        open_store(closed, DIM, 1.0, again=True)
    open_store(closed, DIM, 1.0, again=False).close()
    assert not (closed / ATTEMPTS_FILE).exists()
    assert probed == []


def test_attempts_are_counted_before_the_engine_loads(closed, monkeypatch):
    class Killed(BaseException):
        pass

    def dying(*_):
        assert (closed / ATTEMPTS_FILE).read_text() == str(attempt)
        raise Killed

    monkeypatch.setattr(probing, "EdgeStore", dying)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # a process that ends tidies nothing
    for attempt in (1, 2):
        with pytest.raises(Killed):
            open_store(closed, DIM, 1.0, again=attempt > 1)
    with pytest.raises(StoreDamaged, match="ended 2 times"):
        open_store(closed, DIM, 1.0, again=True)
    monkeypatch.undo()
    (closed / ATTEMPTS_FILE).unlink()


def test_what_the_engine_says_in_the_probe_is_said_by_the_opening(closed, probed):
    log = closed / "units" / "wal" / "first-index"
    content = log.read_bytes()
    log.write_bytes(b"")
    (closed / CLEAN_FILE).unlink()
    with pytest.raises(StoreDamaged, match="first-index"):
        open_store(closed, DIM, 1.0, again=False)
    assert probed == [closed]
    log.write_bytes(content)
    EdgeStore(closed, DIM).close()


def test_the_holder_of_the_lock_is_named_with_its_command_line(closed):
    script = (
        "import sys; from pathlib import Path; from storage.edge_store import EdgeStore;"
        "store = EdgeStore(Path(sys.argv[1]), int(sys.argv[2])); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(closed), str(DIM)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(StoreLocked, match=rf"held by process {holder.pid} \(.*storage.edge_store"):
        EdgeStore(closed, DIM, 0.0)
    holder.kill()
    holder.communicate()
    EdgeStore(closed, DIM).close()
