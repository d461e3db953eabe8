"""What a storage shard needs of the engine it owns: calls that block, and what keeps them lasting and quick."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from memory.audit_calls import ScopePage, Stray
from memory.ids import Scope
from memory.records import Unit
from memory.store_calls import Call, HeadPage

T = TypeVar("T")


class BlockingStore(Protocol):
    """An engine with everything a storage shard needs of it."""

    def call(self, scope: Scope, call: Call[T]) -> T:
        """One atomic call."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """The length of one read."""
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

    def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Banks that have a head."""
        ...

    def list_strays(self) -> tuple[Stray, ...]:
        """Points of banks without a head."""
        ...

    def count_operation(self) -> None:
        """Count what was written since the last time, where a later loss of it shows."""
        ...

    def sync(self) -> None:
        """Make everything counted survive power loss, beside readers and writers."""
        ...

    def flush(self) -> None:
        """Shorten what a start has to do anew; readers wait meanwhile."""
        ...

    def write_back(self) -> None:
        """Write ahead of a flush, beside readers and writers."""
        ...

    def read_ahead(self, most_bytes: int, stopped: Callable[[], bool]) -> int:
        """Have the files in memory before they are asked for; the bytes read."""
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
    def unsynced(self) -> bool:
        """Whether something counted might not survive power loss yet."""
        ...

    @property
    def dirty_bytes(self) -> int:
        """Written since the last flush, roughly."""
        ...
