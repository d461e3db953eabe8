"""Folders and pages: where they may stand, and what they look like as Markdown."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.errors import Conflict, NotFound
from memory.knowledge_pages import MAX_DEPTH, Folder, below, check_folder, decode_folder, encode_folder, tree_of, walk
from memory.mental_models import MentalModel
from memory.page_rendering import INDEX, bundle, page_markdown, snippet_of, type_of
from memory.records import Source

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LINK = "/banks/b/memories/{id}"


def folder(name: str, parent: str = "") -> Folder:
    return Folder(name, name, NOW, parent)


def page(name: str, parent: str = "", content: str = "", **fields) -> MentalModel:
    given = {"source_query": f"What about {name}?", "refreshed_at": NOW, **fields}
    return MentalModel(
        id=f"id-{name}", name=name, created_at=NOW, page=True, folder_id=parent, content=content, **given
    )


def by_id(*folders: Folder) -> dict[str, Folder]:
    return {one.id: one for one in folders}


def test_a_tree_has_folders_before_pages_and_what_lost_its_folder_at_the_top():
    folders = [folder("work"), folder("alpha", "work"), folder("lost", "gone")]
    models = [page("tea"), page("plan", "alpha"), page("orphan", "gone"), replace(page("no page"), page=False)]
    nodes = tree_of(folders, models)
    assert [node.path for node in walk(nodes)] == [
        ("lost",),
        ("work",),
        ("work", "alpha"),
        ("work", "alpha", "plan"),
        ("orphan",),
        ("tea",),
    ]
    assert decode_folder(encode_folder(folders[1])) == folders[1]


def test_a_folder_stands_only_where_it_can():
    known = by_id(folder("a"), folder("b", "a"), folder("c", "b"))
    check_folder(folder("d", "c"), known)
    with pytest.raises(Conflict, match="itself"):
        check_folder(folder("a", "c"), known)
    with pytest.raises(Conflict, match="itself"):
        check_folder(folder("a", "a"), known)
    with pytest.raises(NotFound):
        check_folder(folder("d", "none"), known)
    with pytest.raises(Conflict, match="already"):
        check_folder(Folder("other", "b", NOW, "a"), known)
    deep = by_id(*(folder(f"f{number}", f"f{number - 1}" if number else "") for number in range(MAX_DEPTH)))
    with pytest.raises(Conflict, match="deep"):
        check_folder(folder("more", f"f{MAX_DEPTH - 1}"), deep)
    with pytest.raises(Conflict, match="deep"):
        check_folder(folder("f0", "top"), {**deep, "top": folder("top")})
    assert below("b", known) == {"b", "c"}


def test_a_page_is_front_matter_content_and_sources():
    told = {"world": [{"id": "u1", "text": "Tea [is](http://evil) *served*\nat four."}, {"id": "gone", "text": "x"}]}
    reflection = {"based_on": {**told, "directives": [{"id": "d", "name": "n", "content": "c"}]}}
    given = {"tags": ("type:note", "home"), "reflection": reflection, "sources": (Source("u1", 1, ""),), "version": 3}
    text = page_markdown(page("Tea: a\n---\nname", content="It is served.", **given), LINK, stale=True)
    assert text.startswith('---\nname: "Tea: a\\n---\\nname"\ntype: "note"\n')
    assert text.count("\n---\n") == 1, "no name ends the front matter"
    assert '\ntags: ["type:note", "home"]\n' in text
    assert "\nstale: true\n" in text
    assert "\nIt is served.\n" in text
    assert text.endswith(
        "\n## Sources\n\n- [Tea \\[is\\](http://evil) \\*served\\* at four.](/banks/b/memories/u1)\n"
    ), text
    assert page_markdown(page("x"), LINK, empty="No content yet.").endswith("---\n\nNo content yet.\n")
    assert (type_of(page("x")), snippet_of(page("x"))) == ("knowledge-page", "No content yet.")


def test_a_bundle_has_an_index_and_a_file_for_each_page():
    models = [page("Tea & Co", "work"), page("tea co", "work"), page("index"), page("../../etc/passwd")]
    files = dict(bundle(tree_of([folder("work")], models), LINK, {}))
    assert set(files) == {INDEX, "work/tea-co.md", "work/tea-co-2.md", "index-2.md", "etc-passwd.md"}
    assert "- work/\n  - [Tea & Co](work/tea-co.md): What about Tea & Co?" in files[INDEX]


@given(names=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=6))
def test_whatever_the_names_are_paths_are_distinct_and_stay_inside(names):
    models = [replace(page(name), id=str(number)) for number, name in enumerate(names)]
    files = bundle(tree_of([folder(names[0])], [*models, replace(models[0], id="in", folder_id=names[0])]), LINK, {})
    paths = [path for path, _ in files]
    assert len(set(paths)) == len(paths) == len(names) + 2
    for path in paths:
        assert not path.startswith(("/", "."))
        assert ".." not in path.split("/")
        assert path.endswith(".md")
