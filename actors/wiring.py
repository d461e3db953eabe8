"""Composition root: settings -> ports. The only file that imports storage and providers."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from actors.settings import Settings
from memory.errors import StoreDamaged
from memory.ids import Scope
from memory.ports import Embedder, Tokenizer
from memory.records import Unit
from memory.store_calls import Call, HeadPage, Request
from providers import factory as providers
from storage.backup import begin_backup, finish_backup, remove_unfinished, restore_backup, shard_paths
from storage.damage import read_reports
from storage.directory import Space, prepare_directory, read_card, shard_path
from storage.probe import open_store, probe
from storage.run import run
from storage.upgrade import upgrade

__all__ = [
    "BlockingStore",
    "begin_backup",
    "build_embedder",
    "build_tokenizer",
    "copy_closed",
    "embedding_space",
    "find_damage",
    "finish_backup",
    "open_shard",
    "prepare_data",
    "remove_unfinished",
    "restore_backup",
    "run_on",
    "shard_names",
]

T = TypeVar("T")

LOCK_TIMEOUT_S = 15.0


class BlockingStore(Protocol):
    """An engine with everything a storage shard needs of it."""

    def call(self, scope: Scope, call: Call[T]) -> T:
        """One atomic call."""
        ...

    def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        """Heads of a tenant's banks."""
        ...

    def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        """Banks whose head is due."""
        ...

    def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        """A live unit by its bare id."""
        ...

    def count_operation(self) -> None:
        """Count what was written since the last time, where a later loss of it shows."""
        ...

    def flush(self) -> None:
        """Make everything written survive power loss."""
        ...

    def copy_to(self, target: Path) -> dict[str, int]:
        """Copy everything to a backup; points of each collection."""
        ...

    def close(self) -> None:
        """Flush and let go of the files."""
        ...

    @property
    def losses(self) -> list[str]:
        """What was found lost when it was opened, in sentences."""
        ...

    @property
    def dirty_bytes(self) -> int:
        """Written since the last flush, roughly."""
        ...


def build_embedder(settings: Settings) -> Embedder:
    """The embedder of a deployment; loads the model."""
    return providers.build_embedder(_provider_settings(settings))


def build_tokenizer(settings: Settings) -> Tokenizer:
    """The tokenizer of token budgets."""
    return providers.build_tokenizer(_provider_settings(settings))


def embedding_space(settings: Settings) -> Space:
    """Name and dimension of the vectors that the settings give; asks the endpoint where only it knows.

    Raises:
        ModelUnusable: the model cannot be used.
        RetryLater: the endpoint does not answer.
    """
    embedder = build_embedder(settings)
    dim = settings.embedding_dim or int(embedder.embed(["How long are your vectors?"]).shape[1])
    return Space(embedder.name, dim)


def prepare_data(settings: Settings, space: Space) -> str:
    """Make, check or upgrade the data directory; its id."""
    card = prepare_directory(settings.data, settings.storage_shards, space)
    return upgrade(settings.data, card, LOCK_TIMEOUT_S).id


def open_shard(settings: Settings, index: int, space: Space, *, again: bool) -> BlockingStore:
    """Open one storage shard's directory; `again`: in place of a process that ended without closing it.

    Raises:
        StoreLocked: another process holds it.
        StoreDamaged: its files cannot be read.
    """
    return open_store(shard_path(settings.data, index), space.dim, LOCK_TIMEOUT_S, again=again)


def copy_closed(data: Path) -> Callable[[str, Path], dict[str, int]]:
    """What copies one storage shard, by name, of a directory that no server has open."""
    card = read_card(data)

    def copy(name: str, target: Path) -> dict[str, int]:
        store = open_store(data / name, card.dim, LOCK_TIMEOUT_S, again=False)
        try:
            return store.copy_to(target)
        finally:
            store.close()

    return copy


def shard_names(data: Path) -> list[str]:
    """Names of a data directory's storage shards.

    Raises:
        BadSettings, SchemaMismatch, StoreDamaged: it is none, or its card cannot be read.
    """
    return list(shard_paths(data, read_card(data)))


def find_damage(data: Path) -> list[str]:
    """Sentences on what is wrong with a directory that no server has open: what cannot be loaded, what was lost."""
    card = read_card(data)
    said = []
    for path in shard_paths(data, card).values():
        if not path.exists():
            continue
        problem = probe(path, card.dim, LOCK_TIMEOUT_S)
        if problem:
            raise StoreDamaged(problem)
        said += [f"{path} on {one.found_at}: {line}" for one in read_reports(path) for line in one.sentences()]
    return said


def run_on(engine: BlockingStore, scope: Scope, request: Request[T]) -> T:
    """Run a call or a procedure over a blocking engine."""
    return run(engine, scope, request)


def _provider_settings(settings: Settings) -> providers.ProviderSettings:
    key = settings.embedding_api_key
    return providers.ProviderSettings(
        embedder=settings.embedder,
        precision=settings.embedding_precision,
        cache_dir=settings.cache / "models",
        embedding_base_url=settings.embedding_base_url or "",
        embedding_api_key=key.get_secret_value() if key else "",
        embedding_model=settings.embedding_model or "",
        embedding_dim=settings.embedding_dim,
    )
