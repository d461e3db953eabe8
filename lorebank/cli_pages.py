"""Command `pages`: mental models in a tree of folders, read and exported as Markdown."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer
from rich.markdown import Markdown
from rich.tree import Tree

from lorebank._client import Client
from lorebank.cli_output import (
    DEFAULT,
    BankArgument,
    JsonOption,
    KeyOption,
    UrlOption,
    YesOption,
    answer,
    confirm,
    console,
    fail,
    print_json,
    say,
    session,
    table_of,
)
from lorebank.wire import KnowledgeNode, KnowledgePageBundleFile

pages_app = typer.Typer(no_args_is_help=True, help="Knowledge pages: mental models in folders, as Markdown.")

PageArgument = Annotated[str, typer.Argument(help="Id of the page.", show_default=False)]
NodeArgument = Annotated[str, typer.Argument(help="Id of the page or folder.", show_default=False)]


@pages_app.command("tree")
def show_tree(
    bank: BankArgument, url: UrlOption = DEFAULT, api_key: KeyOption = None, json: JsonOption = False
) -> None:
    """Show the folders and pages of a bank."""
    with session(url, api_key) as client:
        found = client.pages.tree(bank)
    if json:
        print_json(found)
        return
    drawn = Tree(_label(bank))
    _draw(drawn, found.roots)
    console().print(drawn)


def _draw(parent: Tree, nodes: Sequence[KnowledgeNode]) -> None:
    for node in nodes:
        stale = " (stale)" if node.is_stale else ""
        name = f"{node.name}/" if node.kind == "folder" else f"{node.name}{stale}"
        _draw(parent.add(_label(f"{name}  {node.id}")), node.children)


def _label(text: str) -> str:
    return text.replace("[", "\\[")


@pages_app.command("add")
def add_page(
    bank: BankArgument,
    path: Annotated[str, typer.Argument(help="Its name, behind those of its folders: `projects/alpha`.")],
    question: Annotated[str, typer.Argument(help="The standing question that it answers.")],
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag; repeat for more.")] = None,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Add a page, and the folders that it names; its content is made in the background."""
    *folders, name = [part for part in path.split("/") if part] or [""]
    with session(url, api_key) as client:
        parent = _ensure_folders(client, bank, folders)
        made = client.pages.create(bank, name, question, parent_id=parent, tags=tag or [])
    answer(made, f"page {made.page_id}, made under operation {made.operation_id}", json=json)


def _ensure_folders(client: Client, bank: str, names: Sequence[str]) -> str | None:
    nodes, parent = client.pages.tree(bank).roots if names else [], None
    for name in names:
        found = next((node for node in nodes if node.kind == "folder" and node.name == name), None)
        folder = found or client.pages.create_folder(bank, name, parent)
        nodes, parent = folder.children, folder.id
    return parent


@pages_app.command("show")
def show_page(
    bank: BankArgument,
    page: PageArgument,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show a page."""
    with session(url, api_key) as client:
        found = client.pages.get(bank, page)
    if json:
        print_json(found)
        return
    say(f"{found.name}: {found.description}")
    console().print(Markdown(found.body or "It has no content yet."))


@pages_app.command("search")
def search_pages(
    bank: BankArgument,
    query: Annotated[str, typer.Argument(help="What to look for.")],
    limit: Annotated[int, typer.Option(min=1, max=50, help="How many pages at most.")] = 10,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Find pages by their words, best first."""
    with session(url, api_key) as client:
        found = client.pages.search(bank, query, limit)
    if json:
        print_json(found)
        return
    console().print(table_of(("page", "name", "text"), [(row.id, row.name, row.snippet) for row in found.results]))


@pages_app.command("export")
def export_pages(
    bank: BankArgument,
    directory: Annotated[Path | None, typer.Argument(help="Where to; made if it is not there.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Write all pages to one file instead.")] = None,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Write all pages as Markdown: a directory with an index, or one file. Files of the same name are replaced."""
    if (directory is None) == (file is None):
        raise fail("give a directory, or --file")
    with session(url, api_key) as client:
        bundle = client.pages.export(bank)
    try:
        if file is not None:
            file.write_text("\n".join(one.content for one in bundle.files), encoding="utf-8")
        elif directory is not None:
            for one in bundle.files:
                _write(directory, one)
    except OSError as error:
        raise fail(f"cannot write {error.filename}: {error.strerror}") from error
    answer(bundle, f"pages exported to {file or directory}: {len(bundle.files) - 1}", json=json)


def _write(directory: Path, file: KnowledgePageBundleFile) -> None:
    """A server that one does not know might name any path."""
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or "\\" in file.path or ":" in file.path:
        raise fail(f"the server names a file outside of the directory: {file.path!r}")
    target = directory.joinpath(*path.parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(file.content, encoding="utf-8")


@pages_app.command("delete")
def delete_node(
    bank: BankArgument,
    node: NodeArgument,
    yes: YesOption = False,
    url: UrlOption = DEFAULT,
    api_key: KeyOption = None,
    json: JsonOption = False,
) -> None:
    """Delete a page, or a folder with all that is in it; memories stay."""
    confirm(yes, f"Delete {node} of bank {bank}, with all that is in it?")
    with session(url, api_key) as client:
        said = client.pages.delete(bank, node)
    answer(said, f"{node} is deleted", json=json)
