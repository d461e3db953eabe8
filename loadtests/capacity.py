"""How much a server takes, and what it does when it gets more: `python -m loadtests.capacity`.

Capacity is the highest rate, found by bisection, at which 95 of 100 requests are served within a bound; the traffic is
70 % recall, 20 % retain, 10 % lists, over some banks, open loop. Then four times that: every answer must be a success
or 429, memory bounded, everything acknowledged found afterwards, and the server as fast as before within seconds. Last,
one bank is flooded while others go on.
"""

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from loadtests.entry import start
from loadtests.open_loop import HttpClient, OpenLoop, Traffic, flood
from loadtests.recording import Acknowledged
from loadtests.server_memory import memory_by_role
from loadtests.timed_connection import BANKS_PATH, bank_path, recall_path, retain_path
from loadtests.workload import Workload, retain_item
from lorebank.own_server import OwnServer, free_port, up_command

REFUSED_SHARE = 0.01
"""Refusals, of all answers, with which a rate still counts as served."""
RECOVERY_S = 10.0
RECOVERY_PROBES = 10
"""Recalls in a row that must be fast before a server counts as recovered."""
FLOOD_RATIO = 2.0
FLOOD_SHARE = 0.25
"""Rate of the others while one bank is flooded, of the capacity."""
MEMORY_GROWTH = 1.5
"""Most that the memory of all processes may grow by in the overload."""
SEED_FACTS = 50


@dataclass(frozen=True, slots=True)
class Options:
    """How long and how hard."""

    seconds: float
    overload_s: float
    p95_ms: float
    first_per_s: float
    steps: int
    banks: int
    flood_connections: int
    capacity_per_s: float | None
    """Taken for the capacity instead of looking for it."""


@dataclass(slots=True)
class Findings:
    """What was measured, and in sentences what was not as it must be."""

    capacity_per_s: float = 0.0
    broken: list[str] = field(default_factory=list)


class CapacityRun:
    """One server, from empty to flooded."""

    def __init__(self, url: str, pid: int, options: Options, console: Console) -> None:
        self._url = url
        self._pid = pid
        self._options = options
        self._console = console
        self._banks = [f"load-{number}" for number in range(options.banks)]
        self._streams = 0
        self.found = Findings()

    async def run(self) -> Findings:
        """All of it, in order."""
        await self._fill()
        if self._options.capacity_per_s is None:
            await self._find_capacity()
        else:
            self.found.capacity_per_s = self._options.capacity_per_s
        if self.found.capacity_per_s:
            await self._overload()
            await self._flood()
        else:
            self.found.broken.append(f"not even {self._options.first_per_s / 8:g} requests/s are served in time")
        return self.found

    async def _fill(self) -> None:
        client = HttpClient(self._url)
        for number, bank_id in enumerate(self._banks):
            workload = Workload(seed=9, stream=number, bank_ids=[bank_id])
            facts = [workload.next_fact() for _ in range(SEED_FACTS)]
            await client.send("POST", retain_path(bank_id), {"items": [retain_item(one, "seed") for one in facts]})
        client.close()
        await self._step(self._options.first_per_s / 4, 5.0)  # warm up

    async def _step(self, per_s: float, seconds: float, banks: list[str] | None = None) -> Traffic:
        self._streams += 1
        loop = OpenLoop(self._url, banks or self._banks, seed=5, stream=self._streams)
        traffic = await loop.run(per_s, seconds)
        loop.client.close()
        return traffic

    # -- capacity

    async def _find_capacity(self) -> None:
        """Double until it is too much, halve until it is not, then bisect."""
        served, too_much, rate = 0.0, 0.0, self._options.first_per_s
        while not (served and too_much):
            if await self._is_served(rate):
                served, rate = rate, rate * 2
            else:
                too_much, rate = rate, rate / 2
            if rate < self._options.first_per_s / 8:
                return
        for _ in range(self._options.steps):
            middle = (served + too_much) / 2
            if await self._is_served(middle):
                served = middle
            else:
                too_much = middle
        self.found.capacity_per_s = served
        self._console.print(f"capacity: {served:.1f} requests/s with p95 <= {self._options.p95_ms:g} ms")

    async def _is_served(self, per_s: float) -> bool:
        traffic = await self._step(per_s, self._options.seconds)
        served = traffic.served
        refused = traffic.statuses[429] / max(1, traffic.statuses.total())
        fine = served is not None and served.p95_ms <= self._options.p95_ms and refused <= REFUSED_SHARE
        self._console.print(f"{per_s:7.1f}/s: {traffic.summary()}{'' if fine else '  too much'}", markup=False)
        self._report_failures("below overload", traffic)
        return fine and not traffic.failed

    def _report_failures(self, where: str, traffic: Traffic) -> None:
        if traffic.failed:
            self.found.broken.append(
                f"{where}: answers other than 2xx and 429: {traffic.failed}; {traffic.failures[0]}"
            )

    # -- overload

    async def _overload(self) -> None:
        rate = 4 * self.found.capacity_per_s
        before = memory_by_role(self._pid).total()
        stop = asyncio.Event()
        watching = asyncio.create_task(self._most_memory(stop))
        traffic = await self._step(rate, self._options.overload_s)
        ended_s = time.perf_counter()
        recovered_s = await self._recovered(ended_s)
        stop.set()
        most = await watching
        after = memory_by_role(self._pid).total()
        self._console.print(f"overload, {rate:.0f}/s: {traffic.summary()}", markup=False)
        self._console.print(f"memory: {_mib(before)} before, at most {_mib(most)}, {_mib(after)} after")
        self._console.print(f"recovered after {recovered_s:.1f} s")
        self._report_failures("overload", traffic)
        if most > MEMORY_GROWTH * before:
            self.found.broken.append(f"memory grew from {_mib(before)} to {_mib(most)}")
        if recovered_s > RECOVERY_S:
            self.found.broken.append(f"it took {recovered_s:.1f} s to recover")
        missing = await self._missing(traffic.acknowledged)
        self._console.print(f"{len(traffic.acknowledged)} acknowledged, {len(missing)} not found")
        self.found.broken.extend(missing[:5])

    async def _most_memory(self, stop: asyncio.Event) -> int:
        most = 0
        while not stop.is_set():
            most = max(most, (await asyncio.to_thread(memory_by_role, self._pid)).total())
            await asyncio.sleep(2.0)
        return most

    async def _recovered(self, since_s: float) -> float:
        """Seconds until recalls in a row are answered as fast as they must be."""
        client, fast = HttpClient(self._url), 0
        while fast < RECOVERY_PROBES and time.perf_counter() - since_s < 6 * RECOVERY_S:
            sent_s = time.perf_counter()
            status, _ = await client.send("POST", recall_path(self._banks[0]), {"query": "Who was it?"})
            fast = fast + 1 if status == 200 and (time.perf_counter() - sent_s) * 1000 <= self._options.p95_ms else 0
        client.close()
        return time.perf_counter() - since_s

    async def _missing(self, acknowledged: list[Acknowledged]) -> list[str]:
        """Those of the acknowledged documents that are not there word for word."""
        client = HttpClient(self._url)
        missing = []
        for one in acknowledged:
            status, body = await client.send("GET", bank_path(one.bank_id, "documents", one.document_id))
            if status != 200 or not all(text.encode() in body for text in one.texts):
                missing.append(
                    f"{BANKS_PATH}/{one.bank_id}: acknowledged, but {one.document_id} is not there ({status})"
                )
        client.close()
        return missing

    # -- one bank floods

    async def _flood(self) -> None:
        rate = FLOOD_SHARE * self.found.capacity_per_s
        alone = await self._step(rate, self._options.seconds)
        stop = asyncio.Event()
        flooding = asyncio.create_task(flood(self._url, "flooded", self._options.flood_connections, stop))
        beside = await self._step(rate, self._options.seconds)
        stop.set()
        statuses = dict(await flooding)
        self._console.print(f"others alone, {rate:.1f}/s: {alone.summary()}", markup=False)
        self._console.print(f"others beside a flood ({statuses} answers to it): {beside.summary()}", markup=False)
        self._report_failures("beside a flood", beside)
        if alone.served is None or beside.served is None:
            self.found.broken.append("nobody was served beside the flood")
            return
        ratio = beside.served.p95_ms / alone.served.p95_ms
        refused = beside.statuses[429] / beside.statuses.total()
        self._console.print(f"p95 of the others: x {ratio:.2f}; {refused:.1%} of them refused")
        if ratio > FLOOD_RATIO:
            self.found.broken.append(f"a flooding bank raised the others' p95 by {ratio:.2f}")
        if refused > REFUSED_SHARE:
            self.found.broken.append(f"beside a flooding bank {refused:.1%} of the others' requests were refused")


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.0f} MiB"


def main(
    *,
    seconds: Annotated[float, typer.Option(min=1, help="length of each step")] = 60.0,
    overload_s: Annotated[float, typer.Option(min=1, help="length of the overload")] = 60.0,
    p95_ms: Annotated[float, typer.Option(min=1, help="within which 95 of 100 are to be served")] = 100.0,
    first_per_s: Annotated[float, typer.Option(min=1, help="rate to begin with")] = 32.0,
    steps: Annotated[int, typer.Option(min=0, help="bisections")] = 4,
    banks: Annotated[int, typer.Option(min=1, help="banks to spread the traffic over")] = 20,
    flood_connections: Annotated[int, typer.Option(min=1, help="connections that flood one bank")] = 32,
    capacity_per_s: Annotated[float | None, typer.Option(min=1, help="take this for the capacity, do not look")] = None,
) -> None:
    """Measure a server of its own."""
    options = Options(seconds, overload_s, p95_ms, first_per_s, steps, banks, flood_connections, capacity_per_s)
    console = Console(width=140)
    with tempfile.TemporaryDirectory(prefix="lorebank.capacity.") as folder:
        command = up_command(free_port(), Path(folder) / "data")
        with OwnServer(command, on_line=lambda _: None) as server:
            found = asyncio.run(CapacityRun(server.url, server.pid, options, console).run())
    for line in found.broken:
        console.print(f"NOT AS IT MUST BE: {line}", style="red", markup=False)
    if found.broken:
        raise typer.Exit(1)


if __name__ == "__main__":
    start(main)
