"""Addresses of banks, `scope` on the wire: a host, and on it an agent, a user, or both. One bank has each at most.

Which bank has an address is one record that many processes may write. It is a compare-and-set made of the one guard
that records have: a record is overwritten only by one whose seq and epoch are both as high. Those of one version are
drawn so that neither of two is as high as the other in both, and any of the next version is higher in both. So the
first of a version stands, and whoever reads its own back has won.
"""

import json
from dataclasses import dataclass

from memory.records import Record, RecordKind

LOTS = 1 << 24
"""Numbers that a version is drawn from; equal ones of two writers at the same moment would let both win."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a memory belongs: to all of a host, to one of its agents, to one of its users, to a user of an agent."""

    host: str
    agent: str | None = None
    user: str | None = None

    def tiers(self) -> tuple["Address", ...]:
        """The addresses whose memories are seen from here, the nearest first: user of the agent, user, agent, host."""
        tiers = (self, Address(self.host, user=self.user), Address(self.host, self.agent), Address(self.host))
        return tuple(dict.fromkeys(tiers))

    def key(self, tenant: str) -> str:
        """Key of its record: unambiguous whatever characters the names hold."""
        return json.dumps([tenant, self.host, self.agent, self.user], ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Holding:
    """Which bank has an address (None: no longer any), as of which version."""

    bank: str | None
    version: int


def holding_of(record: Record | None) -> Holding:
    """What a record says; of none, that the address is free."""
    return Holding(record.body["bank"], record.seq // LOTS) if record else Holding(None, 0)


def next_holding(key: str, bank: str | None, before: Holding, lot: int) -> Record:
    """The record that follows `before`, if no other does.

    lot: drawn at random, from 1 up to LOTS - 1.
    """
    base = (before.version + 1) * LOTS
    return Record(RecordKind.ADDRESS, key, {"bank": bank}, seq=base + lot, epoch=base + LOTS - lot)


def is_same(record: Record | None, written: Record) -> bool:
    """Whether the record that stands is the one that was written."""
    return record is not None and (record.seq, record.epoch) == (written.seq, written.epoch)
