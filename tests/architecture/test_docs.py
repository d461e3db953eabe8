"""The documents name what is there: links lead somewhere, files exist, and every stop of a walk is in the code."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.walks import ROOT, WALKS, Stop, walk

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS += sorted((ROOT / "docs" / "adr").glob("*.md")) + sorted((ROOT / "tests").glob("*.md"))
ROOMS = "memory|storage|providers|actors|serve_app|jobs|lorebank|loadtests|tests|docs|deploy"
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)#\s]*)(?:#(?P<anchor>[^)\s]*))?\)")
NAMED_FILE = re.compile(rf"`((?:{ROOMS})/[\w/.-]+\.(?:py|md|sh|ndjson|toml))`")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(path: Path) -> set[str]:
    """The anchors that the headings of a document have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path):
    broken = []
    for link in LINK.finditer(document.read_text()):
        if link["target"].startswith(("http://", "https://")):
            continue
        target = (document.parent / link["target"]).resolve() if link["target"] else document
        if not target.exists() or (link["anchor"] and link["anchor"] not in anchors(target)):
            broken.append(link.group())
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_files_that_are_named_exist(document: Path):
    assert not [name for name in NAMED_FILE.findall(document.read_text()) if not (ROOT / name).exists()]


def functions_in(file: Path) -> set[str]:
    """Functions of a module, those of classes with the class in front."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        within = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + one.name for one in within if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))}
    return found


@pytest.mark.parametrize("stop", [stop for name in WALKS for stop in walk(name)], ids=lambda stop: stop.function)
def test_every_stop_of_a_walk_is_in_the_code(stop: Stop):
    assert stop.function in functions_in(ROOT / stop.file)


@pytest.mark.parametrize("name", WALKS)
def test_a_walk_has_twelve_stops_at_most_and_each_once(name: str):
    stops = walk(name)
    assert [stop.number for stop in stops] == list(range(1, len(stops) + 1))
    assert 8 <= len(stops) <= 12
    assert len({stop[1:] for stop in stops}) == len(stops)


PLAIN = frozenset("v1 default list search tree clear close retry delete export turns history merge".split())
"""Parts of paths that mean what they mean anywhere."""


def nouns_of_the_api() -> set[str]:
    """Fixed parts of the paths of all routes, as words, in the singular."""
    found = set()
    for path in (ROOT / "serve_app").glob("*routes.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/"):
                found |= {part for part in node.value.split("/") if re.fullmatch(r"[a-z][a-z\d-]+", part)}
    return {re.sub(r"ies$", "y", part).removesuffix("s").replace("-", " ") for part in found - PLAIN}


def test_the_glossary_has_every_noun_of_the_api():
    text = (ROOT / "docs" / "GLOSSARY.md").read_text().lower()
    wanted = {re.sub(r" (?:extract|refresh)$", "", noun) for noun in nouns_of_the_api()}
    assert not sorted(noun for noun in wanted if noun not in text)
