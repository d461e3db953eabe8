"""Every command that the documents name can be typed: its words, its flags, and in blocks the whole line."""

import argparse
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from lorebank.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = re.compile(
    r"^(\$ )?(\S+=\S+ )*(\.venv/bin/)?(?=lorebank |python -m jobs\.)|^ray job submit .* -- (?=python -m jobs\.)"
)
SPAN = re.compile(r"`((?:lorebank |python -m jobs\.)[^`]*)`", re.DOTALL)
FLAG = re.compile(r"--[a-z][a-z-]*")


def blocks(text: str) -> Iterator[str]:
    """Commands of fenced blocks, each on one line."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if (found := PROGRAM.match(line)) is not None:
                yield line[found.end() :]


def spans(text: str) -> Iterator[str]:
    """Commands in the running text, with words left out or put as alternatives."""
    for span in SPAN.findall(re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)):
        yield " ".join(span.split())


def of_all(what: Any) -> list[Any]:
    return [
        pytest.param(command, id=f"{path.name}: {command}")
        for path in DOCUMENTS
        for command in dict.fromkeys(what(path.read_text()))
    ]


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and what is left of them."""
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        if words[0].startswith("-"):
            break
        assert words[0] in command.commands, f"{command.name} has no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    return command, words


def parser_of(module: str) -> argparse.ArgumentParser:
    return importlib.import_module(module)._parser()


@pytest.mark.parametrize("line", of_all(blocks))
def test_a_line_of_a_block_is_taken_as_it_stands(line: str):
    words = shlex.split(line, comments=True)
    words = words[: next((n for n, word in enumerate(words) if word in {"|", ">", "&", "&&"}), len(words))]
    if words[0] == "python":
        parser_of(words[2]).parse_args(words[3:])
        return
    command, rest = leaf(words[1:])
    command.make_context(line, rest)


@pytest.mark.parametrize("span", of_all(spans))
def test_a_command_in_the_text_exists_with_its_flags(span: str):
    words = span.split()
    if words[0] == "python":
        parser = parser_of(words[2].rstrip(","))
        known = {flag for action in parser._actions for flag in action.option_strings}
    else:
        named = [word for word in words[1:] if re.fullmatch(r"[a-z|-]+", word) and not word.startswith("-")]
        known = set()
        for alternative in named[-1].split("|") if named else [""]:
            command, _ = leaf([*named[:-1], *filter(None, [alternative])])
            known |= flags_of(command)
    assert set(FLAG.findall(span)) <= known | {"--help"}


@pytest.mark.parametrize("name", ["JOBS", "OBSERVATIONS", "REFLECT"])
def test_a_flag_in_the_text_is_one_of_some_command(name: str):
    text = (ROOT / "docs" / f"{name}.md").read_text()
    said = [span for span in re.findall(r"`([^`\n]*)`", text) if not span.startswith("python -m loadtests.")]
    spoken = set(FLAG.findall(" ".join(said)))
    assert spoken <= {flag for command in leaves(typer.main.get_command(app)) for flag in flags_of(command)}


JOBS = {
    "backfill": ["a.csv"], "import": ["out"], "export": ["out"], "reflect-bulk": ["a.ndjson"], "reembed": [],
    "consolidate": ["--all"], "verify": [], "forget": ["out"], "retention": [], "compact": ["--data=d"],
    "tenant delete": ["acme"], "tenant scan": ["acme"],
}  # fmt: skip
OF_THE_COMMAND = {"--url", "--api-key", "--wait", "--all", "--tag", "--help"}
"""Taken by the command where it is no job, or itself."""


WORDS = {
    "--from": "mem0", "--embedder": "hash", "--vectors": "none", "--budget": "high", "--precision": "fp32",
    "--format": "rows", "--priority": "oldest",
}  # fmt: skip
"""Values of the options that take one of several words."""


def typed(option: Any) -> str:
    flag = next(flag for flag in option.opts if flag.startswith("--"))
    return flag if option.is_flag else f"{flag}={WORDS.get(flag, 1)}"


@pytest.mark.parametrize("name", JOBS)
def test_a_job_takes_what_its_command_hands_on(name: str, monkeypatch):
    started: list[list[str]] = []

    def become(_: str, arguments: list[str]) -> None:
        started.append(arguments)
        raise SystemExit(0)

    monkeypatch.setattr("os.execv", become)
    command, _ = leaf(name.split())
    options = [one for one in command.params if one.param_type_name == "option" and OF_THE_COMMAND.isdisjoint(one.opts)]
    for given in [[], *([typed(one)] for one in options)]:
        result = CliRunner().invoke(app, [*name.split(), *JOBS[name], *given])
        assert result.exit_code == 0, (given, result.output)
        parser_of(started[-1][2]).parse_args(started[-1][3:])
        assert given == [] or started[-1] != started[0], f"{given} is not handed on"


def leaves(command: Any) -> Iterator[Any]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield command
        return
    for one in inner.values():
        yield from leaves(one)


def flags_of(command: Any) -> set[str]:
    return {flag for one in command.params for flag in one.opts}


def test_there_are_such_commands():
    assert len(of_all(blocks)) > 30
    assert len(of_all(spans)) > 20
