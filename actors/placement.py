"""Which host owns a bank: rendezvous hashing over a stored, versioned ring, plus pins. A pure function."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memory.ids import SYSTEM, Scope, digest
from memory.records import Record, RecordKind
from memory.store_calls import GetRecords, Store, WriteRecords

RING_KEY = "ring"


@dataclass(frozen=True, slots=True)
class Ring:
    """The hosts' names and the banks pinned to one of them; `version` grows with every change."""

    version: int
    hosts: tuple[str, ...]
    pins: Mapping[str, str] = field(default_factory=dict)
    """Scope key -> host name."""


def host_name(number: int) -> str:
    """Ray name of a host's actor."""
    return f"bank-host-{number}"


def owner_of(ring: Ring, scope: Scope) -> str:
    """The host that owns the bank: its pin, else the host with the highest hash of (host, bank)."""
    pinned = ring.pins.get(scope.key)
    if pinned in ring.hosts:
        return str(pinned)
    return max(ring.hosts, key=lambda host: digest("owner", host, scope.key))


async def load_ring(store: Store) -> Ring | None:
    """The stored ring, or None before the first start."""
    found = await store.perform(SYSTEM, GetRecords(RecordKind.RING, (RING_KEY,)))
    return decode_ring(found[RING_KEY].body) if RING_KEY in found else None


async def ensure_ring(store: Store, hosts: tuple[str, ...]) -> Ring:
    """The stored ring, made or changed to these hosts; pins to hosts that are gone are dropped."""
    ring = await load_ring(store)
    if ring is not None and ring.hosts == hosts:
        return ring
    version = ring.version + 1 if ring else 1
    pins = {bank: host for bank, host in (ring.pins if ring else {}).items() if host in hosts}
    wanted = Ring(version, hosts, pins)
    await store.perform(SYSTEM, WriteRecords((Record(RecordKind.RING, RING_KEY, _encode(wanted), seq=version),)))
    return await load_ring(store) or wanted


def _encode(ring: Ring) -> dict[str, Any]:
    return {"version": ring.version, "hosts": list(ring.hosts), "pins": dict(ring.pins)}


def decode_ring(body: Mapping[str, Any]) -> Ring:
    """A ring as it is stored."""
    return Ring(body["version"], tuple(body["hosts"]), body["pins"])
