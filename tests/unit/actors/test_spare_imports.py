"""What a worker of Ray's imports before it does anything."""

import subprocess
import sys
from pathlib import Path

from actors.spare_imports import CLAIM, NEEDED

LOADED = "import sys, actors.spare_imports as i; print(*(name for name in i.NEEDED if name in sys.modules), sep='\\n')"


def loaded(claim: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env={CLAIM: str(claim)}, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_one_worker_finds_the_claim_and_imports_what_actors_need(tmp_path: Path):
    claim = tmp_path / "claim"
    claim.touch()
    assert loaded(claim) == list(NEEDED)
    assert [path.stem for path in tmp_path.iterdir()] == ["claim"], "taken, under a name with its process's id"
    assert not claim.exists()
    assert loaded(claim) == [], "the next has other things to do"
