"""docs/SETTINGS.md names every setting with its environment variable and its default, and no other."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from actors.settings import Settings, load_settings
from memory.errors import BadSettings

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(?P<name>\w+)` \| `(?P<variable>\w+)` \| (?P<default>[^|]+) \| (?P<meaning>[^|]+) \|$")
DOCUMENTED = {
    row["name"]: row
    for line in (ROOT / "docs" / "SETTINGS.md").read_text().splitlines()
    if line.startswith("| `") and (row := ROW.match(line))
}
OF_THE_MACHINE = {
    "data": "`lorebank-data` in the working directory",
    "cache": "`~/.cache/lorebank`",
    "bank_hosts": "half the cores, at least 1",
    "embed_workers": "the number of cores",
}
"""Defaults that differ from machine to machine, in words."""


def shown(name: str, default: Any) -> str:
    if name in OF_THE_MACHINE:
        return OF_THE_MACHINE[name]
    if default is None:
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_every_row_of_the_tables_can_be_read():
    lines = (ROOT / "docs" / "SETTINGS.md").read_text().splitlines()
    assert len([line for line in lines if line.startswith("| `")]) == len(DOCUMENTED)


def test_every_setting_is_documented_and_nothing_else():
    assert list(DOCUMENTED) == list(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_variable_and_default_are_as_documented(name: str):
    field, row = Settings.model_fields[name], DOCUMENTED[name]
    assert field.default is not PydanticUndefined
    assert row["variable"] == f"{Settings.model_config['env_prefix']}{name.upper()}"
    assert row["default"] == shown(name, field.default)
    assert len(row["meaning"]) > 10


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_documented_variable_is_the_one_that_is_read(name: str, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    sample = {"embedding_base_url": "http://127.0.0.1:1", "qdrant_url": "http://127.0.0.1:1"}.get(name, "no-such-value")
    monkeypatch.setenv(DOCUMENTED[name]["variable"], sample)
    outcome = outcome_of(name)
    assert outcome.endswith(sample) or name in outcome.lower()


def outcome_of(name: str) -> str:
    """The setting's value as it is read, or what is wrong with it."""
    try:
        value = getattr(load_settings(), name)
    except BadSettings as exc:
        return str(exc)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


READERS = "".join(path.read_text() for room in ("actors", "serve_app", "jobs") for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_read(name: str):
    assert re.search(rf"(?:settings|self|made)\.{name}\b", READERS) is not None, name
