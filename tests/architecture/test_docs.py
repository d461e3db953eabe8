"""The documents name what is there: links lead somewhere, and files exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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
