"""Imported by every worker of Ray's before it does anything; one that is to be the spare imports what actors need.

Others start sooner without. It is the one that finds the file which `actors.spare` has put down, and renames it.
"""

import contextlib
import importlib
import os
from pathlib import Path
from typing import Final

CLAIM: Final = "_LOREBANK_SPARE_CLAIM"
"""Environment variable with the path of that file."""
NEEDED: Final = ("actors.host", "actors.storage_shard", "actors.supervisor")


def _claimed() -> bool:
    with contextlib.suppress(OSError, KeyError):
        claim = Path(os.environ[CLAIM])
        claim.rename(f"{claim}.{os.getpid()}")
        return True
    return False


if _claimed():
    for _name in NEEDED:
        importlib.import_module(_name)
