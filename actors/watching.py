"""Watching: parts are asked whether they live, and those that live and do not answer are ended; Ray replaces them.

Ray notices a process that died and never one that is frozen: its calls would hang until somebody wakes it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil  # type: ignore[import-untyped]  # it has no types
import ray

from actors.calls import ask
from actors.pulse import Pulse, find_process, own_node
from actors.settings import Settings
from actors.supervision import Patience, Sign, Standing, Watch, judge
from memory.errors import DeadlineExceeded, LorebankError

log = logging.getLogger("lorebank.watching")

WORKING_SHARE = 0.05
"""Seconds of CPU a second from which a process that does not answer counts as working."""

FindActor = Callable[[], Any]
"""Handle of a part; ValueError where it does not run (yet)."""


@dataclass(slots=True)
class _Part:
    """One actor that is watched."""

    find: FindActor
    watch: Watch
    pulse: Pulse | None = None
    cpu: tuple[float, float] | None = None
    """At the last miss of this row of misses: instant, and CPU seconds its process had used until then."""
    ended: int = 0


class Watcher:
    """Looks at every part each `supervisor_ping_s`; keeps nothing that a new process would miss.

    `on_replaced` is called whenever a part answers from another process than before.
    """

    def __init__(
        self, settings: Settings, parts: Mapping[str, FindActor], on_replaced: Callable[[], None] = lambda: None
    ) -> None:
        self._on_replaced = on_replaced
        self._ping_s = settings.supervisor_ping_s
        self._patience = Patience(settings.supervisor_misses, settings.supervisor_busy_s)
        self._node = own_node()
        self._parts = {name: _Part(find, Watch(time.monotonic())) for name, find in parts.items()}
        loop = asyncio.get_running_loop()
        self._watching = [loop.create_task(self._watch(name)) for name in self._parts]

    def standings(self) -> dict[str, Standing]:
        """What it thinks of each part."""
        return {name: part.watch.standing for name, part in self._parts.items()}

    def ended(self) -> dict[str, int]:
        """How many processes of each part it ended."""
        return {name: part.ended for name, part in self._parts.items()}

    async def _watch(self, name: str) -> None:
        part = self._parts[name]
        while True:
            began_s = time.monotonic()
            try:
                await self._look(name, part)
            except Exception:
                log.exception("looking at %s failed", name)  # watching must outlive whatever one look meets
            await asyncio.sleep(max(0.0, began_s + self._ping_s - time.monotonic()))

    async def _look(self, name: str, part: _Part) -> None:
        sign = await self._sign(name, part)
        part.watch = judge(part.watch, sign, time.monotonic(), self._patience)
        if part.watch.standing is Standing.SUSPECT:
            log.warning("%s does not answer (%s, %d misses)", name, sign, part.watch.misses)
        if part.watch.standing is Standing.CONDEMNED:
            log.error("%s does not answer (%s): its process is ended", name, sign)
            part.ended += 1
            self._end(part)

    async def _sign(self, name: str, part: _Part) -> Sign:
        before = part.pulse
        try:
            part.pulse = await ask(part.find().pulse.remote(), self._ping_s, name)
        except DeadlineExceeded:
            return self._sign_of_process(part)
        except (LorebankError, ValueError):  # Ray says that it is being replaced, or was never started
            return Sign.GONE
        part.cpu = None
        if before is not None and before.pid != part.pulse.pid:
            self._on_replaced()
        return Sign.ANSWERED

    def _sign_of_process(self, part: _Part) -> Sign:
        if part.pulse is None or part.pulse.node != self._node:
            return Sign.SILENT
        process = find_process(part.pulse)
        if process is None:
            return Sign.GONE
        try:
            spent = process.cpu_times()
        except psutil.NoSuchProcess:
            return Sign.GONE
        before, part.cpu = part.cpu, (time.monotonic(), float(spent.user + spent.system))
        if before is None:
            return Sign.SILENT
        passed_s, worked_s = part.cpu[0] - before[0], part.cpu[1] - before[1]
        return Sign.BUSY if worked_s >= WORKING_SHARE * passed_s else Sign.SILENT

    def _end(self, part: _Part) -> None:
        """Here a signal; elsewhere by that machine's raylet, which is asked and takes some five seconds longer."""
        if part.pulse is not None and part.pulse.node == self._node:
            process = find_process(part.pulse)
            if process is not None:
                process.kill()
        else:
            ray.kill(part.find(), no_restart=False)
