"""What the scenarios with real hosts share. Each runs in a process of its own: it starts and freezes parts of a Ray."""

import asyncio
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actors.client import BankClient
from actors.placement import RING_KEY, load_ring, owner_of
from actors.settings import NAMESPACE
from memory.audit import AuditBank
from memory.commands import Item, Retain
from memory.filters import TRUE
from memory.ids import SYSTEM, Scope
from memory.records import Record, RecordKind
from memory.stepping import drive
from memory.store_calls import WriteRecords

NEVER = 1_000_000


@contextmanager
def ray_of_one_node() -> Iterator[None]:
    """A Ray for this process alone."""
    from serve_app.main import set_ray_environment

    set_ray_environment()
    import ray

    ray.init(
        address="local",
        namespace=NAMESPACE,
        include_dashboard=False,
        object_store_memory=200 << 20,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )
    try:
        yield
    finally:
        ray.shutdown()


def actor(name: str) -> Any:
    import ray

    return ray.get_actor(name, namespace=NAMESPACE)


def put(text: str, document_id: str = "d") -> Retain:
    return Retain(str(uuid.uuid4()), (Item(text, document_id),))


async def owned_by(client: BankClient, host: str) -> Scope:
    """A new bank that the ring gives to a host."""
    ring = await load_ring(client._store)
    assert ring is not None
    while True:
        scope = Scope("tenant", f"bank-{uuid.uuid4()}")
        if owner_of(ring, scope) == host:
            return scope


async def pin(client: BankClient, scope: Scope, host: str) -> None:
    """Give a bank to a host by a newer ring."""
    ring = await load_ring(client._store)
    assert ring is not None
    body = {"version": ring.version + 1, "hosts": list(ring.hosts), "pins": {**ring.pins, scope.key: host}}
    await client._store.perform(SYSTEM, WriteRecords((Record(RecordKind.RING, RING_KEY, body, seq=ring.version + 1),)))


async def readable(client: BankClient, scope: Scope) -> dict[str, Any]:
    """Everything a caller can read of a bank."""
    documents = (await client.list_documents(scope, limit=1000)).documents
    parts = [await client.read_document(scope, document.id) for document in documents]
    units = (await client.list_units(scope, TRUE, limit=1000)).units
    operations = (await client.list_operations(scope, limit=1000)).records
    head = await client.find_head(scope)
    assert head is not None
    return {
        "texts": {part.document.id: (part.document.version, part.text) for part in parts},
        "units": sorted(unit.text for unit in units),
        "operations": sorted(record.key for record in operations),
        "head": (head.epoch, head.commit, head.settled, head.seq, dict(head.counters)),
    }


async def breaches(client: BankClient, scope: Scope) -> list[str]:
    """What an audit of the bank finds, its vectors included."""
    audit = await drive(client._store.perform, scope, AuditBank(scope, "all").steps())
    return [str(breach) for breach in audit.breaches]


async def until(what: str, condition: Any, timeout_s: float = 60.0) -> Any:
    """The first true answer of an asynchronous condition."""
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    while True:
        found = await condition()
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline_s, f"not within {timeout_s:g} s: {what}"
        await asyncio.sleep(0.05)
