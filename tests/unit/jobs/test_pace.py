"""How fast a job goes."""

import asyncio

from jobs import pace
from jobs.pace import Pace


def test_the_rate_is_kept(monkeypatch):
    now_s, slept = [100.0], []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        now_s[0] += seconds

    monkeypatch.setattr(pace.time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(pace.asyncio, "sleep", sleep)

    async def spend() -> None:
        limited = Pace(50.0)
        for items in (100, 25, 10):
            await limited.wait(items)
        now_s[0] += 10.0
        await limited.wait(1)
        await Pace(None).wait(1000)

    asyncio.run(spend())
    assert slept == [0.0, 2.0, 0.5, 0.0]
