"""The day's spending of the language model in the store, so that caps hold over a restart."""

import asyncio
import logging
from collections.abc import Callable
from datetime import date
from typing import Any

from memory.errors import LorebankError
from memory.ids import SYSTEM
from memory.records import Record, RecordKind
from memory.spending import Ledger
from memory.store_calls import GetRecords, Store, WriteRecords

KEY = "today"
WRITE_S = 5.0
"""How often spending is written: what a killed process had spent since is forgotten."""

log = logging.getLogger("lorebank.spending")


class SpendingKeeper:
    """Reads the ledger's day once, then writes it whenever it has changed."""

    def __init__(self, store: Store, ledger: Ledger, today: Callable[[], date]) -> None:
        self._store = store
        self._ledger = ledger
        self._today = today
        self._seq = 0
        self._written: dict[str, Any] | None = None
        self.read = asyncio.Event()
        """Set once it is known what was spent before."""

    async def run(self, every_s: float = WRITE_S) -> None:
        """Keep for ever; a store that does not answer is asked again."""
        while True:
            try:
                await self.keep()
            except LorebankError as exc:
                log.warning("the language model's spending is not kept for now: %s", exc)
            await asyncio.sleep(every_s)

    async def keep(self) -> None:
        """Read what was spent before, if that was not done yet; write what was spent since.

        Raises:
            LorebankError: the store cannot be used.
        """
        if not self.read.is_set():
            found = await self._store.perform(SYSTEM, GetRecords(RecordKind.SPENDING, (KEY,)))
            if KEY in found:
                self._seq = found[KEY].seq
                self._ledger.restore(found[KEY].body, self._today())
            self._written = self._ledger.state()
            self.read.set()
        state = self._ledger.state()
        if state != self._written:
            self._seq += 1
            await self._store.perform(SYSTEM, WriteRecords((Record(RecordKind.SPENDING, KEY, state, seq=self._seq),)))
            self._written = state
