"""`python -m tests.faults.unsettled_banks DATA COUNT`: replaces a document in each bank and dies before any is settled.

What a kill leaves when it comes right after the commit, in as many banks as one likes.
"""

import asyncio
import os
import sys
import uuid
from pathlib import Path
from typing import Any, TypeVar

from actors.bank import Bank
from actors.settings import load_settings
from actors.wiring import build_embedder, embedding_space, open_shard
from memory.errors import Unavailable
from memory.ids import Scope
from memory.store_calls import Request, SwapHead
from storage.run import run
from tests.support.bank_process import bank_ports
from tests.support.builders import retain
from tests.support.local_store import FaultyEngine

T = TypeVar("T")


def scope_of(number: int) -> Scope:
    return Scope("default", f"bank-{number}")


class CountingStore:
    """The store port over an engine in this process, counting as the storage shard does."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    async def perform(self, scope: Scope, request: Request[T]) -> T:
        try:
            return run(self._engine, scope, request)
        finally:
            self._engine.count_operation()


async def replace_all(engine: FaultyEngine, embed: Any, count: int) -> None:
    store = CountingStore(engine)
    ports = bank_ports(store, embed=embed, nonce=lambda: uuid.uuid4().hex)
    for number in range(count):
        bank = Bank(scope_of(number), ports, 8)
        await bank.settle()
        engine.arm(SwapHead, "after", Unavailable("killed right after the commit"))
        try:
            await bank.perform(retain(f"new text of {number}", op=f"replace-{number}", document_id="d"))
        except Unavailable:
            continue
        raise AssertionError(f"bank {number} was settled")


def main() -> None:
    settings = load_settings(data=Path(sys.argv[1]), embedder="hash")
    engine = FaultyEngine(open_shard(settings, 0, embedding_space(settings)))
    embedder = build_embedder(settings)

    async def embed(texts: Any) -> list[Any]:
        return embedder.embed_with_tokens(list(texts))

    asyncio.run(replace_all(engine, embed, int(sys.argv[2])))
    print("all committed, none settled", flush=True)
    os._exit(9)  # without closing anything


if __name__ == "__main__":
    main()
