"""What the import contracts cannot see: that they cover every package, and that the pure core reads no clock."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def test_every_package_is_under_the_import_contracts():
    assert sorted(PYPROJECT["tool"]["importlinter"]["root_packages"]) == PACKAGES


def test_every_package_is_type_checked():
    assert sorted(PYPROJECT["tool"]["mypy"]["packages"]) == PACKAGES


def test_every_package_says_what_it_is():
    for package in PACKAGES:
        assert (ROOT / package / "__init__.py").read_text().startswith('"""'), package


def test_no_contract_names_a_package_that_is_gone():
    named = set()
    for contract in PYPROJECT["tool"]["importlinter"]["contracts"]:
        for key in ("source_modules", "layers", "protected_modules", "allowed_importers"):
            named.update(part.strip() for line in contract.get(key, ()) for part in line.split("|"))
    for module in named:
        path = ROOT / Path(*module.split("."))
        assert path.is_dir() or path.with_suffix(".py").is_file(), module


LEFTOVER = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b|\bNotImplementedError\b|\bbreakpoint\(")


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_left_for_later(package: str):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] == package
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if LEFTOVER.search(line)
    ]
    assert not found


IMPURE = """\
import time
import uuid
from datetime import UTC, date, datetime

import numpy as np

{line}
"""


@pytest.mark.parametrize(
    "line",
    [
        "x = datetime.now(UTC)",
        "x = date.today()",
        "x = time.time()",
        "x = time.monotonic()",
        "x = uuid.uuid4()",
        "x = np.random.default_rng(1)",
        "import random",
        "from random import choice",
        "import secrets",
    ],
)
def test_the_pure_core_may_not_read_a_clock_or_chance(line: str):
    found = ruff_codes(IMPURE.format(line=line), "memory/planted.py")
    assert "TID251" in found
    assert "TID251" not in ruff_codes(IMPURE.format(line=line), "actors/planted.py")


def test_what_is_pure_passes():
    assert "TID251" not in ruff_codes("import uuid\n\nx = uuid.UUID(int=1)\n", "memory/planted.py")


def ruff_codes(source: str, name: str) -> str:
    """What ruff finds in a source as if it stood in that file."""
    run = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", "--stdin-filename", name, "-"],
        input=source,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode in {0, 1}, run.stderr
    return run.stdout


SUPPRESSED = re.compile(r"#\s*(?:noqa|type:\s*ignore)(?P<rest>.*)$")
REASONED = re.compile(r"^(?:: [A-Z]+\d+(?:, [A-Z]+\d+)* - \S|\[[a-z-]+\]  # \w)")


def test_every_suppression_says_why():
    """Beside it: `noqa: CODE - why`, `type: ignore[code]  # why`."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (said := SUPPRESSED.search(line)) and not REASONED.match(said["rest"])
    ]
    assert not found


def test_every_exception_of_the_linter_says_why():
    text = (ROOT / "pyproject.toml").read_text()
    table = text.split("[tool.ruff.lint.per-file-ignores]\n")[1].split("\n[")[0]
    lines = table.strip().splitlines()
    bare = [line for before, line in zip(["", *lines], lines, strict=False) if "#" not in before + line]
    assert not [line for line in bare if not line.startswith("#")]


def test_every_module_says_its_job_in_one_line_of_its_own():
    said: dict[str, Path] = {}
    for path in SOURCES:
        first = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
        assert first.endswith("."), f"{path.relative_to(ROOT)}: {first!r}"
        twin = said.setdefault(first, path)
        assert twin is path, f"{path.relative_to(ROOT)} says what {twin.relative_to(ROOT)} says"
