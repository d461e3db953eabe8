"""Credits: how many commands, and how much memory for them, may wait at a bank, at a host, and there for one tenant."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from memory.commands import AppendTurns, Command, GivenDocument, Item, Retain
from memory.errors import Overloaded
from memory.restore_commands import RestoreSlice
from memory.stage_commands import EndStage

PIECE_BYTES = 4096
"""What a piece of a document takes beside its text while it is prepared: a vector, a draft, a unit."""
PIECE_CHARS = 500
"""Roughly how much text makes a piece where the caller did not cut it."""
RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that may be inside at once."""

    commands: int
    size_bytes: int


class Credits:
    """Commands and bytes inside one part of a host. Not for several threads."""

    __slots__ = ("_limits", "_what", "commands", "size_bytes")

    def __init__(self, what: str, limits: Limits) -> None:
        self._what = what
        self._limits = limits
        self.commands = 0
        self.size_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Let a command in. One that is larger than all bytes there are is let in alone.

        Raises:
            Overloaded: there is no room for it; nothing was accepted.
        """
        if self.commands >= self._limits.commands:
            raise Overloaded(f"{self.commands} commands {self._what} are waiting", RETRY_AFTER_S)
        if self.commands and self.size_bytes + size_bytes > self._limits.size_bytes:
            raise Overloaded(f"{self.size_bytes >> 20} MiB of commands {self._what} are waiting", RETRY_AFTER_S)
        self.commands += 1
        self.size_bytes += size_bytes

    def give_back(self, size_bytes: int) -> None:
        """A command that was let in has ended."""
        self.commands -= 1
        self.size_bytes -= size_bytes


class HostCredits:
    """Credits of a host and, within them, of each tenant that has commands there."""

    def __init__(self, name: str, host: Limits, tenant: Limits) -> None:
        self.host = Credits(f"at {name}", host)
        self._tenant_limits = tenant
        self._tenants: dict[str, Credits] = {}

    @contextmanager
    def held(self, tenant: str, size_bytes: int) -> Iterator[None]:
        """Hold credits for the length of a command.

        Raises:
            Overloaded: the host or the tenant has none left; nothing was accepted.
        """
        self.host.take(size_bytes)
        try:
            mine = self._tenants.get(tenant) or Credits(f"of tenant {tenant!r}", self._tenant_limits)
            mine.take(size_bytes)
        except Overloaded:
            self.host.give_back(size_bytes)
            raise
        self._tenants[tenant] = mine
        try:
            yield
        finally:
            self.host.give_back(size_bytes)
            mine.give_back(size_bytes)
            if not mine.commands:
                del self._tenants[tenant]


def size_of(command: Command) -> int:
    """Bytes of memory a command takes at its owner, roughly: its texts, and what is made of each piece of them."""
    if isinstance(command, Retain):
        return sum(_size_of_texts(_texts_of(item)) for item in command.items)
    if isinstance(command, AppendTurns):
        return _size_of_texts(message.content for message in command.messages)
    if isinstance(command, EndStage):
        results = [end.result for end in command.ends if end.result is not None]
        return PIECE_BYTES + _size_of_texts(unit.text for result in results for unit in result.units or ())
    if isinstance(command, RestoreSlice):
        return PIECE_BYTES + _size_of_texts(command.texts())
    return PIECE_BYTES


def _texts_of(item: Item) -> Iterable[str]:
    if isinstance(item.content, GivenDocument):
        return (chunk.text for chunk in item.content.chunks)
    return (item.content,) if isinstance(item.content, str) else (part.content for part in item.content)


def _size_of_texts(texts: Iterable[str]) -> int:
    return sum(sys.getsizeof(text) + PIECE_BYTES * (1 + len(text) // PIECE_CHARS) for text in texts)
