"""A data directory and its identity card: what it was made for is checked before anything in it is opened."""

import os
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from memory.errors import BadSettings, SchemaMismatch, StoreDamaged
from storage import schema

CARD_FILE = "lorebank.json"
MARKS_FILE = "operations"
"""Counts of a storage shard's two collections, kept outside their logs."""
CLEAN_FILE = "clean"
"""There while a shard is closed; absent while it is open, and after a process that did not close it."""


@dataclass(frozen=True, slots=True)
class Space:
    """The vector space of a directory: the embedder's name and dimension. Vectors of two spaces never mix."""

    embedder: str
    dim: int


@dataclass(frozen=True, slots=True)
class Card:
    """Identity of a data directory; written once, when it is made."""

    id: str
    schema_version: int
    storage_shards: int
    embedder: str
    dim: int
    also: tuple[tuple[str, int], ...] = ()
    """Other embedders, with their dimensions, that settings may name: their vectors are, or were, written beside."""


def prepare_directory(data: Path, shards: int, space: Space) -> Card:
    """The directory's card; a directory without one is made.

    Raises:
        SchemaMismatch: the directory is of a newer schema version.
        BadSettings: it was made with another embedder or number of shards, or it cannot be written.
        StoreDamaged: the card cannot be read.
    """
    path = data / CARD_FILE
    try:
        data.mkdir(parents=True, exist_ok=True)
        if path.exists():
            return _checked(path, shards, space)
        card = Card(str(uuid.uuid4()), schema.SCHEMA_VERSION, shards, space.embedder, space.dim)
        _write(path, card)
    except OSError as exc:
        raise BadSettings(f"the data directory {data} cannot be used: {exc.strerror or exc}") from exc
    return card


def read_card(data: Path) -> Card:
    """The card of a directory that is there; nothing is made.

    Raises:
        BadSettings: there is no data directory.
        SchemaMismatch: it is of a newer schema version.
        StoreDamaged: the card or a shard's directory is missing or cannot be read.
    """
    path = data / CARD_FILE
    if not path.exists():
        raise BadSettings(f"{data} is no data directory of lorebank: it has no {CARD_FILE}")
    try:
        card = _read(path)
    except OSError as exc:
        raise BadSettings(f"the data directory {data} cannot be used: {exc.strerror or exc}") from exc
    missing = [shard_path(data, index) for index in range(card.storage_shards) if not shard_path(data, index).exists()]
    if missing:
        raise StoreDamaged(
            f"{missing[0]} is missing: restore it from a backup; or start the server once, if it was never ready"
        )
    return card


def current_card(data: Path) -> Card:
    """The card of a directory that is there and of today's schema version, for who reads it without upgrading it.

    Raises:
        SchemaMismatch: it is of another version; says what to do.
        BadSettings, StoreDamaged: as read_card.
    """
    card = read_card(data)
    if card.schema_version < schema.SCHEMA_VERSION:
        raise SchemaMismatch(
            f"{data} has schema version {card.schema_version}, this program reads version {schema.SCHEMA_VERSION}:"
            f" start the server on it once (lorebank up --data {data}), which upgrades it, stop it and try again"
        )
    return card


def shard_path(data: Path, index: int) -> Path:
    """Directory of one storage shard."""
    return data / f"shard-{index:02d}"


def write_card(data: Path, card: Card) -> None:
    """Replace the card."""
    _write(data / CARD_FILE, card)


def allow_space(data: Path, space: Space) -> None:
    """Let settings name another embedder from now on.

    Raises:
        BadSettings, SchemaMismatch, StoreDamaged: as current_card.
    """
    card = current_card(data)
    named = (space.embedder, space.dim)
    if named not in ((card.embedder, card.dim), *card.also):
        write_card(data, replace(card, also=(*card.also, named)))


def _checked(path: Path, shards: int, space: Space) -> Card:
    card = _read(path)
    if (space.embedder, space.dim) not in ((card.embedder, card.dim), *card.also):
        raise BadSettings(
            f"{path.parent} was made with the embedder {card.embedder} ({card.dim} dimensions), the settings say"
            f" {space.embedder} ({space.dim}): start with the embedder it was made with, or use another directory"
        )
    if card.storage_shards != shards:
        raise BadSettings(
            f"{path.parent} was made with storage_shards = {card.storage_shards}, the settings say {shards}:"
            " the number is fixed when a directory is made"
        )
    return card


def _read(path: Path) -> Card:
    """The version first: a newer card may hold other fields."""
    try:
        stored = orjson.loads(path.read_bytes())
        version = int(stored["schema_version"])
        if version > schema.SCHEMA_VERSION:
            raise SchemaMismatch(
                f"{path.parent} has schema version {version}; this program knows up to"
                f" {schema.SCHEMA_VERSION}: upgrade lorebank"
            )
        also = tuple((str(name), int(dim)) for name, dim in stored.get("also", ()))
        shards, embedder, dim = int(stored["storage_shards"]), str(stored["embedder"]), int(stored["dim"])
        return Card(str(stored["id"]), version, shards, embedder, dim, also)
    except (ValueError, TypeError, KeyError) as exc:
        raise StoreDamaged(f"{path} cannot be read ({exc}); restore it from a backup") from exc


def _write(path: Path, card: Card) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        file.write(orjson.dumps(asdict(card), option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
