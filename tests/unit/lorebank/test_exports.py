"""The export lists are complete, sorted, and tell the whole public surface."""

import inspect
import pkgutil
from importlib import import_module
from types import ModuleType

import pytest

import lorebank
from lorebank import wire


def sorted_as_ruff_does(names: list[str]) -> list[str]:
    """Constants, then classes, then the rest, each in alphabetical order."""
    return sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[0].isupper() else 2, name))


@pytest.mark.parametrize("module", [lorebank, wire])
def test_exports_are_sorted_and_exist(module: ModuleType) -> None:
    """No duplicates, nothing that is not there."""
    assert module.__all__ == sorted_as_ruff_does(module.__all__)
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


@pytest.mark.parametrize("module", [lorebank, wire])
def test_exports_are_complete(module: ModuleType) -> None:
    """What the package imports under a public name, it exports."""
    public = {name for name, value in vars(module).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert public == {name for name in module.__all__ if not name.startswith("_")}


def test_every_wire_model_is_exported() -> None:
    """A model that a sub-module defines can be imported from lorebank.wire."""
    for info in pkgutil.iter_modules(wire.__path__):
        module = import_module(f"lorebank.wire.{info.name}")
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_"):
                helpers = {"RequestModel", "ResponseModel", "OpenResponseModel", "Page", "TagFilter"}
                assert name in {*wire.__all__, *helpers}, f"{module.__name__}.{name}"
