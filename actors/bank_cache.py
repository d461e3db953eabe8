"""The banks a host has in memory, least recently used first, and when they leave it. Time is injected.

Nothing depends on a bank leaving in time or at all: a bank that was dropped is taken anew by its next command, and one
that stays is fenced by its epoch as any other. Passivation only bounds memory.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from actors.bank import Bank
from actors.lifecycle import State
from memory.ids import Scope

SWEEP_EVERY_BANKS = 256
"""New banks after which memory is looked at without waiting for the next round."""


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """When banks leave memory."""

    idle_s: float
    """A bank unused for this long leaves."""
    high_bytes: int
    """Above this, the least recently used ones leave until `low_bytes` are left."""
    low_bytes: int


class BankCache:
    """Banks by scope. Those with commands in flight stay, whatever the limits say; credits bound how many those are."""

    def __init__(self, make: Callable[[Scope], Bank], limits: CacheLimits, now_s: Callable[[], float]) -> None:
        self._make = make
        self._limits = limits
        self._now_s = now_s
        self._banks: OrderedDict[Scope, tuple[Bank, float]] = OrderedDict()
        self._made = 0

    def __len__(self) -> int:
        return len(self._banks)

    def __iter__(self) -> Iterator[Bank]:
        return (bank for bank, _ in self._banks.values())

    @property
    def active(self) -> int:
        """Banks that own their epoch."""
        return sum(bank.state is State.ACTIVE for bank, _ in self._banks.values())

    def use(self, scope: Scope) -> Bank:
        """The bank, made if it is not in memory; it is now the most recently used."""
        found = self._banks.get(scope)
        if found is None:
            self._made += 1
            if self._made % SWEEP_EVERY_BANKS == 0:
                self.passivate()
        bank = found[0] if found else self._make(scope)
        self._banks[scope] = (bank, self._now_s())
        self._banks.move_to_end(scope)
        return bank

    def passivate(self) -> int:
        """Drop what has been idle for long and, above the high mark, what was used least recently; how many went."""
        before_s = self._now_s() - self._limits.idle_s
        held_bytes = sum(bank.cache_bytes for bank, _ in self._banks.values())
        enough_bytes = self._limits.low_bytes if held_bytes > self._limits.high_bytes else held_bytes
        gone = []
        for scope, (bank, used_s) in self._banks.items():
            if used_s > before_s and held_bytes <= enough_bytes:
                break  # the rest was used later
            if bank.idle:
                held_bytes -= bank.cache_bytes
                gone.append(scope)
        for scope in gone:
            self._banks.pop(scope)[0].passivate()
        return len(gone)
