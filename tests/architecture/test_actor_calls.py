"""How actors may be called: Ray repeats no call, and every answer is awaited with a deadline."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for package in ("actors", "serve_app", "jobs") for path in (ROOT / package).rglob("*.py"))


def repeats(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Wherever Ray is told to repeat an actor's calls: they would run twice, and out of order."""
    for node in ast.walk(tree):
        given: list[tuple[str | None, ast.expr]] = []
        if isinstance(node, ast.Call):
            given = [(keyword.arg, keyword.value) for keyword in node.keywords]
        elif isinstance(node, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
            given = list(zip(keys, node.values, strict=True))
        for name, value in given:
            allowed = isinstance(value, ast.Constant) and value.value in (0, None)
            if name in {"max_task_retries", "retry_exceptions"} and not allowed:
                yield value.lineno, ast.unparse(value)


def waits(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Wherever an actor's or a task's answer is awaited without a deadline, or blocked on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call) and _name(node.value) == "remote":
            yield node.lineno, ast.unparse(node)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"ray.get", "ray.wait"}:
            yield node.lineno, ast.unparse(node)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


@pytest.mark.parametrize("find", [repeats, waits])
def test_no_source_breaks_the_rule(find):
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in SOURCES
        for line, text in find(ast.parse(path.read_text()))
    ]
    assert not found


def test_every_actor_of_a_deployment_is_started_without_repeats():
    text = (ROOT / "actors" / "cluster.py").read_text()
    assert "max_task_retries=0" in text
    assert "max_restarts=-1" in text


@pytest.mark.parametrize(
    ("find", "source"),
    [
        (repeats, "ray.remote(max_task_retries=3)"),
        (repeats, "actor.options(max_task_retries=-1)"),
        (repeats, "actor.options(max_task_retries=tries)"),
        (repeats, "actor.options(**{'max_task_retries': 1})"),
        (repeats, "actor.options(retry_exceptions=True)"),
        (waits, "async def f(host):\n    await host.ping.remote()"),
        (waits, "ray.get(pending)"),
    ],
)
def test_what_breaks_the_rule_is_found(find, source):
    assert list(find(ast.parse(source)))


@pytest.mark.parametrize(
    ("find", "source"),
    [
        (repeats, "actor.options(max_task_retries=0, max_restarts=-1)"),
        (waits, "async def f(host):\n    await ask(host.ping.remote(), 1.0, 'host')"),
    ],
)
def test_what_keeps_it_is_not(find, source):
    assert not list(find(ast.parse(source)))
