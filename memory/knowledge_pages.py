"""Knowledge pages: mental models that have a place in a tree of folders."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime

from memory.encoding import instant_from_text, instant_to_micros, instant_to_text
from memory.errors import Conflict, NotFound
from memory.mental_models import MentalModel
from memory.records import Record, RecordKind

FOLDERS = "folders"
"""The head's counter of folders; without one there is none to read."""
MAX_FOLDERS = 500
"""Of one bank: all of them are read for the tree."""
MAX_DEPTH = 16


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder in a folder; without a parent, at the top."""

    id: str
    name: str
    created_at: datetime
    parent_id: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A folder with what is in it, or a page; `path` has the names from the top down to it."""

    path: tuple[str, ...]
    folder: Folder | None = None
    page: MentalModel | None = None
    children: tuple["Node", ...] = field(default=())

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path[-1]


def encode_folder(folder: Folder) -> Record:
    """Its record."""
    body = {"name": folder.name, "parent_id": folder.parent_id, "created_at": instant_to_text(folder.created_at)}
    return Record(RecordKind.FOLDER, folder.id, body, order=instant_to_micros(folder.created_at))


def decode_folder(record: Record) -> Folder:
    """Inverse of encode_folder."""
    body = record.body
    return Folder(record.key, body["name"], instant_from_text(body["created_at"]), body["parent_id"])


def tree_of(folders: Sequence[Folder], models: Sequence[MentalModel]) -> tuple[Node, ...]:
    """What is at the top, with all below it: folders first, then pages, each by name.

    What lies in a folder that is gone is at the top.
    """
    known = {folder.id for folder in folders}

    def place(parent_id: str) -> str:
        return parent_id if parent_id in known else ""

    folders_in: dict[str, list[Folder]] = {}
    pages_in: dict[str, list[MentalModel]] = {}
    for folder in folders:
        folders_in.setdefault(place(folder.parent_id), []).append(folder)
    for model in models:
        if model.page:
            pages_in.setdefault(place(model.folder_id), []).append(model)

    def inside(parent_id: str, path: tuple[str, ...]) -> tuple[Node, ...]:
        below = sorted(folders_in.get(parent_id, ()), key=lambda one: (one.name, one.id))
        pages = sorted(pages_in.get(parent_id, ()), key=lambda one: (one.name, one.id))
        nodes = (Node((*path, one.name), folder=one, children=inside(one.id, (*path, one.name))) for one in below)
        return (*nodes, *(Node((*path, one.name), page=one) for one in pages))

    return inside("", ())


def walk(nodes: Sequence[Node]) -> Iterator[Node]:
    """All nodes, each before what is in it."""
    for node in nodes:
        yield node
        yield from walk(node.children)


def check_folder(folder: Folder, folders: Mapping[str, Folder]) -> None:
    """Check that a folder can stand where it is to.

    Raises:
        NotFound: there is no such parent.
        Conflict: it would be in itself, too deep, or beside one of the same name.
    """
    depth, at = 1, folder.parent_id
    while at:
        if at == folder.id:
            raise Conflict("a folder cannot be moved into itself")
        if at not in folders:
            raise NotFound(f"there is no folder {at!r}")
        depth, at = depth + 1, folders[at].parent_id
    if depth + _height(folder.id, folders) > MAX_DEPTH:
        raise Conflict(f"folders are at most {MAX_DEPTH} deep")
    beside = (one for one in folders.values() if one.parent_id == folder.parent_id and one.id != folder.id)
    if any(one.name == folder.name for one in beside):
        raise Conflict(f"there is a folder {folder.name!r} already")


def below(folder_id: str, folders: Mapping[str, Folder]) -> frozenset[str]:
    """A folder and all folders in it."""
    found: AbstractSet[str] = frozenset((folder_id,))
    while True:
        more = found | {one.id for one in folders.values() if one.parent_id in found}
        if more == found:
            return frozenset(found)
        found = more


def _height(folder_id: str, folders: Mapping[str, Folder]) -> int:
    """How many levels of folders are in a folder; those that exist stand in no circle."""
    inside = [one.id for one in folders.values() if one.parent_id == folder_id]
    return max((1 + _height(one, folders) for one in inside), default=0)
