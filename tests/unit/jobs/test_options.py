"""Numbers that jobs take: of every job, and every one is checked before anything is begun."""

import argparse
import importlib
import pkgutil

import pytest

import jobs
from jobs.options import patience, positive_count, positive_number, share

REFUSED = {
    positive_count: ("0", "-1", "1.5", "nan", "inf", "many", ""),
    positive_number: ("0", "-0.5", "nan", "inf", "-inf", "fast", ""),
    patience: ("-1", "nan", "-inf", "long", ""),
    share: ("-0.1", "1.1", "nan", "inf", "half", ""),
}
TAKEN = {positive_count: "1", positive_number: "0.1", patience: "inf", share: "1"}


def parsers() -> dict[str, argparse.ArgumentParser]:
    modules = (importlib.import_module(f"jobs.{module.name}") for module in pkgutil.iter_modules(jobs.__path__))
    return {module.__name__: module._parser() for module in modules if hasattr(module, "_parser")}


NUMBERS = [
    pytest.param(parser, action, id=f"{name.removeprefix('jobs.')} {action.option_strings[0]}")
    for name, parser in parsers().items()
    for action in parser._actions
    if action.type in {int, float, *REFUSED}
]


def test_every_job_that_paces_itself_is_here():
    of_rates = {parser.values[0].prog for parser in NUMBERS if "--max-" in parser.values[1].option_strings[0]}
    assert {"lorebank backfill", "lorebank reembed", "lorebank retention", "lorebank consolidate --all"} <= of_rates


@pytest.mark.parametrize(("parser", "action"), NUMBERS)
def test_a_number_that_cannot_be_meant_is_refused_with_a_sentence(parser, action, capsys):
    assert action.type in REFUSED, "int and float take what no job can do"
    for text in REFUSED[action.type]:
        with pytest.raises(SystemExit) as ended:
            parser.parse_args([f"{action.option_strings[0]}={text}"])
        assert ended.value.code == 2
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"{action.option_strings[0]}: {text!r} is no " in said


@pytest.mark.parametrize(("kind", "text"), TAKEN.items())
def test_the_least_or_most_that_can_be_meant_is_taken(kind, text):
    assert kind(text) == float(text)
