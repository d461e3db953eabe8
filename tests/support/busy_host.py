"""A BankHost that writes by itself, on and on, as long as its process lives: it needs no caller, and no raylet."""

import asyncio
import json
import os
import time
import uuid
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.host import BankHost
from actors.pulse import with_pulse
from actors.wiring import build_embedder
from memory.commands import Item, Retain
from memory.errors import LorebankError
from memory.ids import Scope

PAUSE_S = 0.02


class BusyHost(BankHost):
    """Embeds in its own process, as tasks are placed by the raylet."""

    async def write_on(self, scope: Scope, log: Path) -> None:
        """Begin to replace one document for ever; each attempt is a line of JSON in `log`."""
        self._stopped = False
        self._writing = asyncio.get_running_loop().create_task(self._write_on(scope, log))

    async def stop_writing(self) -> None:
        """Finish the write under way and stop."""
        self._stopped = True
        await self._writing

    async def _write_on(self, scope: Scope, log: Path) -> None:
        number = 0
        with log.open("a", buffering=1) as lines:
            while not self._stopped:
                number += 1
                text = f"number {number} of process {os.getpid()}"
                line = {"pid": os.getpid(), "text": text, "began_s": time.time()}
                try:
                    receipt = await self.perform(scope, Retain(str(uuid.uuid4()), (Item(text, "log"),)), 1)
                    line |= {"version": receipt.documents[0].version, "seq": receipt.seq}
                except LorebankError as exc:
                    line |= {"refused": f"{type(exc).__name__}: {exc}"}
                lines.write(json.dumps(line | {"ended_s": time.time()}) + "\n")
                await asyncio.sleep(PAUSE_S)

    async def _embed_batch(self, texts: list[str]) -> NDArray[np.float32]:
        return build_embedder(self._settings).embed(texts)


BusyHostActor = with_pulse(BusyHost)
