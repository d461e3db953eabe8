"""`python -m tests.faults.log_writer DIRECTORY SEED`: banks that replace documents in a store, until killed."""

import asyncio
import random
import sys
import threading
import uuid
from itertools import count
from pathlib import Path

from actors.bank import Bank
from memory.commands import DeleteDocument, Message
from memory.errors import NotFound
from memory.ids import Scope
from storage.edge_store import EdgeStore
from tests.support.bank_process import bank_ports
from tests.support.builders import DIM, retain
from tests.support.local_store import LocalStore

BANKS = 4
DOCUMENTS = 10
FLUSH_S = 0.3


def write_some(engine: EdgeStore, choice: random.Random, commands: int) -> None:
    """So many commands by new owners of the banks."""
    asyncio.run(write_on(engine, choice, commands))


async def write_on(engine: EdgeStore, choice: random.Random, commands: int | None = None) -> None:
    """Commands on all banks in turn, without an end or so many; `written` is said after the first of endless ones."""
    store = LocalStore(engine)
    names = lambda: uuid.uuid4().hex  # noqa: E731 - a port
    scopes = [Scope("t", f"bank {number}") for number in range(BANKS)]
    banks = [Bank(scope, bank_ports(store, nonce=names), 8) for scope in scopes]
    said = commands is not None
    for _ in count() if commands is None else range(commands):
        bank, document = choice.choice(banks), f"document {choice.randrange(DOCUMENTS)}"
        if choice.random() < 0.1:
            try:
                await bank.perform(DeleteDocument(names(), document))
            except NotFound:
                continue
        lines = tuple(Message(f"line {choice.getrandbits(32)}", role="user") for _ in range(choice.randint(1, 6)))
        await bank.perform(retain(lines, op=names(), document_id=document))
        if not said:
            print("written", flush=True)
            said = True


def main() -> None:
    engine = EdgeStore(Path(sys.argv[1]), DIM)

    def flush_on() -> None:
        pause = threading.Event()
        while not pause.wait(FLUSH_S):
            engine.flush()

    threading.Thread(target=flush_on, daemon=True).start()
    asyncio.run(write_on(engine, random.Random(int(sys.argv[2]))))


if __name__ == "__main__":
    main()
