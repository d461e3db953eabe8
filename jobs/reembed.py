"""Reembed: another embedding model's vectors beside those there are, compared, switched to, or given up again.

    python -m jobs.reembed --embedder http --base-url http://127.0.0.1:8001/v1 --model bge-small-en --dry-run
    python -m jobs.reembed --embedder http --base-url http://127.0.0.1:8001/v1 --model bge-small-en --switch
    python -m jobs.reembed --rollback
    python -m jobs.reembed --drop --yes

Retains and recalls go on meanwhile. Killed at any moment, it goes on where it was when it is run again: what is done is
seen by the vectors themselves. Exit codes: 0 done; 1 the models agree too little to switch; 2 nothing more could be
done, the line on stderr says what to do.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jobs.attaching import run_attached
from jobs.bulk import finish, guarded, only_error
from jobs.options import patience, positive_count, positive_number, share
from jobs.pace import Pace
from jobs.patience import patiently
from jobs.progress_bar import Bar, bar
from jobs.report import counted
from memory.errors import BadSettings
from memory.ids import Scope, digest
from memory.spaces import FillPage, Model, Spaces
from memory.upkeep_calls import DropVectors

if TYPE_CHECKING:
    from actors.client import BankClient
    from actors.reembed_client import ReembedClient

NAME = "reembed"
PAGE_UNITS = 32
"""Embedded at once: a caller's texts wait for no more."""
DROPPED_UNITS = 256

T = TypeVar("T")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; the exit code."""
    options = _parser().parse_args(argv)
    return guarded(NAME, lambda: _main(options))


def _main(options: argparse.Namespace) -> int:
    if options.dry_run and (options.switch or options.rollback or options.abandon):
        raise BadSettings("--dry-run is for a first run, or for --drop: leave the other one out")
    if options.drop and not (options.yes or options.dry_run):
        raise BadSettings("there is no going back to a model whose vectors are dropped: say --yes, or --dry-run")

    async def attached(client: "BankClient") -> dict[str, Any]:
        return await reembed(client.reembedding, options)

    report = run_attached(attached)
    return finish(report, options, sentence(report))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lorebank reembed", description="Use another embedding model.")
    parser.add_argument("--embedder", choices=["minilm", "http", "hash"], help="what makes the new vectors")
    parser.add_argument("--model", help="the model's name at the endpoint")
    parser.add_argument("--base-url", help="an OpenAI-compatible endpoint; its key is the server's own setting")
    parser.add_argument("--dim", type=positive_count, help="length of the new vectors, where it is not the model's own")
    parser.add_argument("--precision", choices=["int8", "fp32"], default="int8", help="of MiniLM (default: int8)")
    parser.add_argument(
        "--verify-sample", type=positive_count, default=100, help="units to compare answers for (default: 100)"
    )
    parser.add_argument("--min-agreement", type=share, default=0.0, help="least share of equal answers to switch at")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--switch", action="store_true", help="ask the new model once all is written and compared")
    action.add_argument("--rollback", action="store_true", help="ask the former model again")
    action.add_argument("--abandon", action="store_true", help="write the new model's vectors no more")
    action.add_argument(
        "--drop", action="store_true", help="let go of all vectors but those of the model that is asked: no way back"
    )
    parser.add_argument("--yes", action="store_true", help="drop without being asked again")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, write nothing")
    parser.add_argument("--concurrency", type=positive_count, default=2, help="banks at once (default: 2)")
    parser.add_argument("--max-items-per-s", type=positive_number, help="most units a second, beside live traffic")
    parser.add_argument(
        "--patience-s", type=patience, default=300.0, help="how long a bank may not answer (default: 300)"
    )
    parser.add_argument("--report", type=Path, help="write the report to this file too, as JSON")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    return parser


@dataclass(slots=True)
class Tally:
    """What became of everything so far."""

    banks: int = 0
    units: int = 0
    embedded: int = 0
    dropped: int = 0
    passes: int = 0
    sampled: list[Scope] = field(default_factory=list)
    """Banks that answers are compared in."""


async def reembed(client: "ReembedClient", options: argparse.Namespace) -> dict[str, Any]:
    """Do what the options say; the report.

    Raises:
        BadSettings: there is no model to go on with, or none to go back to.
        Conflict: somebody else changes models at the same time.
        RetryLater: a part did not answer for `patience_s`; what is done is kept.
    """
    began_s = time.monotonic()
    job = _Reembedding(client, options)
    if options.drop:
        report = await job.drop()
    else:
        report = await (job.give_up() if options.abandon else job.roll_back() if options.rollback else job.go_on())
    seconds = time.monotonic() - began_s
    rate = round(job.tally.embedded / seconds, 1) if seconds else None
    return {"job": NAME, "dry_run": options.dry_run, **report, "seconds": round(seconds, 3), "units_per_s": rate}


class _Reembedding:
    """One run."""

    def __init__(self, client: "ReembedClient", options: argparse.Namespace) -> None:
        self.tally = Tally()
        self._client = client
        self._options = options
        self._pace = Pace(options.max_items_per_s)

    async def go_on(self) -> dict[str, Any]:
        """Write, compare, and switch if that is wanted; a run that was killed is taken up wherever it was."""
        options, stands = self._options, await self._client.spaces()
        other = await self._model(stands)
        switched = stands.active == other.space
        await self._count()
        if options.dry_run:
            return self._report(stands, other, switched=switched)
        if not switched:
            stands = await self._client.begin(other)
        await self._fill_all(other.space)
        compared = await self._compare(stands)
        enough = compared["share"] >= options.min_agreement
        if options.switch and not switched and enough:
            stands = await self._client.change(stands, stands.switched())
            await self._fill_all(other.space)  # what a command under way then has written by the old model alone
            switched = True
        return self._report(stands, other, switched=switched, agreement=compared, refused=options.switch and not enough)

    async def roll_back(self) -> dict[str, Any]:
        """Ask the model again that was there before, whose vectors were written all the time."""
        stands = await self._client.spaces()
        first = stands.first
        if first is None:
            raise BadSettings("there is no other model to go back to")
        await self._count()
        if stands.active != first.space:
            await self._fill_all(first.space)
            stands = await self._client.change(stands, stands.switched())
            await self._fill_all(first.space)
        return self._report(stands, first, switched=True)

    async def give_up(self) -> dict[str, Any]:
        """Have new units get vectors of the first model alone; those of the other that are there stay, unasked."""
        stands = await self._client.spaces()
        first = stands.first
        if first is None:
            raise BadSettings("there is no other model to give up")
        stands = await self._client.change(stands, stands.abandoned())
        return self._report(stands, first, switched=False)

    async def drop(self) -> dict[str, Any]:
        """Let go of every vector that is not of the model that is asked; run again, it finishes what was begun.

        Nobody embeds by the others from the change of the record on, so what is gone stays so.
        """
        before = await self._client.spaces()
        wanted, asked = before.settled(), before.model(before.active)
        await self._count()
        if self._options.dry_run:
            return self._report(before, asked, switched=False, unused=len(await self._unused(wanted)))
        if asked is not None:
            await self._fill_all(asked.space)  # nothing goes before all is there by which to find it
        stands = await self._client.change(before, wanted)
        if asked is not None:
            await self._fill_all(asked.space)  # what a command under way then has written by the other model alone
        gone: set[str] = set()
        while spaces := await self._unused(stands):  # such a command may have begun a space anew
            for space in spaces:
                await self._drop_space(space)
            gone.update(spaces)
        return self._report(stands, asked, switched=False, unused=len(gone))

    async def _unused(self, stands: Spaces) -> list[str]:
        return await self._patiently(lambda: self._client.unused(stands))

    async def _drop_space(self, space: str) -> None:
        async for scope in self._client.banks():
            await self._drop_of_bank(scope, space)
        await self._patiently(lambda: self._client.drop_space(space))

    async def _drop_of_bank(self, scope: Scope, space: str) -> None:
        start: str | None = None
        while True:
            page = DropVectors(space, DROPPED_UNITS, start)
            gone = await self._patiently(lambda page=page: self._client.drop_page(scope, page))  # type: ignore[misc]  # a lambda's default has no type
            self.tally.dropped += gone.dropped
            start = gone.following
            if start is None:
                return
            await self._pace.wait(gone.dropped)

    async def _model(self, stands: Spaces) -> Model:
        """The one that the options name; without any, the one that is being written."""
        options = self._options
        if options.embedder is None:
            if stands.first is None:
                raise BadSettings("which model? give --embedder, and what belongs to it")
            return stands.models[-1]
        wanted = {
            "embedder": options.embedder,
            "embedding_precision": options.precision,
            "embedding_base_url": options.base_url,
            "embedding_model": options.model,
            "embedding_dim": options.dim,
        }
        return await self._client.find_model(wanted)

    async def _count(self) -> None:
        tally, ranked = self.tally, []
        async for scope in self._client.banks():
            units = await self._patiently(lambda scope=scope: self._client.count_units(scope))  # type: ignore[misc]  # a lambda's default has no type
            tally.banks, tally.units = tally.banks + 1, tally.units + units
            if units:
                ranked.append((digest(scope.key), scope))
                if len(ranked) > 2 * self._options.verify_sample:
                    ranked = nsmallest(self._options.verify_sample, ranked, key=lambda one: one[0])
        tally.sampled = [scope for _, scope in nsmallest(self._options.verify_sample, ranked, key=lambda one: one[0])]

    async def _fill_all(self, space: str) -> None:
        """Pass over all banks until a pass has found nothing to do."""
        while True:
            before = self.tally.embedded
            await self._fill_once(space)
            self.tally.passes += 1
            if self.tally.embedded == before:
                return

    async def _fill_once(self, space: str) -> None:
        gate = asyncio.Semaphore(self._options.concurrency)
        tally = self.tally
        print(f"looking through {tally.units} units in {counted(tally.banks, 'bank')}", file=sys.stderr, flush=True)
        with bar(NAME, tally.units, "units", "{embedded} embedded", embedded=tally.embedded) as shown:

            async def fill(scope: Scope) -> None:
                try:
                    await self._fill_bank(scope, space, shown)
                finally:
                    gate.release()

            try:
                async with asyncio.TaskGroup() as tasks:
                    async for scope in self._client.banks():
                        await gate.acquire()
                        tasks.create_task(fill(scope))
            except BaseExceptionGroup as group:
                raise only_error(group) from None

    async def _fill_bank(self, scope: Scope, space: str, shown: Bar) -> None:
        start: str | None = None
        while True:
            page = FillPage(space, PAGE_UNITS, start)
            filled = await self._patiently(lambda page=page: self._client.fill(scope, page))  # type: ignore[misc]  # a lambda's default has no type
            self.tally.embedded += filled.embedded
            shown.move(filled.looked_at, embedded=self.tally.embedded)
            start = filled.following
            if start is None:
                return
            await self._pace.wait(filled.embedded)

    async def _compare(self, stands: Spaces) -> dict[str, Any]:
        """Agreement over the sampled banks, by unit."""
        banks, sampled, sums = self.tally.sampled, 0, 0.0
        for number, scope in enumerate(banks):
            wanted = self._options.verify_sample
            part = (number + 1) * wanted // len(banks) - number * wanted // len(banks)
            one = await self._patiently(
                lambda scope=scope, part=part: self._client.agreement(scope, stands, part)  # type: ignore[misc]  # a lambda's default has no type
            )
            sampled, sums = sampled + one.sampled, sums + one.share * one.sampled
        return {"sampled": sampled, "share": round(sums / sampled, 4) if sampled else 0.0}

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await patiently(self._options.patience_s, ask)

    def _report(self, stands: Spaces, other: Model | None, *, switched: bool, **more: Any) -> dict[str, Any]:
        tally, active = self.tally, stands.model(stands.active)
        refused = bool(more.pop("refused", False))
        return {
            "model": other.embedder if other else None, "dim": other.dim if other else None,
            "active": active.embedder if active else None, "switched": switched,
            "banks": tally.banks, "units": tally.units, "embedded": tally.embedded, "dropped": tally.dropped,
            "passes": tally.passes,
            **more, "rejects": int(refused),
        }  # fmt: skip


def sentence(report: dict[str, Any]) -> str:
    """The report in words."""
    where = f"{report['units']} units in {counted(report['banks'], 'bank')}"
    used = report["active"] or "the one of the deployment's settings"
    if "unused" in report:
        gone = "would drop" if report["dry_run"] else f"dropped, in {report['seconds']:.1f} s,"
        units = "" if report["dry_run"] else f" from {counted(report['dropped'], 'unit')}"
        return (
            f"{gone} vectors of {counted(report['unused'], 'model')}{units}, of {where}\n"
            f"the model that queries use is {used}"
        )
    if report["dry_run"]:
        return f"would embed {where} by {report['model']} ({report['dim']} dimensions)"
    lines = [f"embedded {report['embedded']} units by {report['model']}, of {where}, in {report['seconds']:.1f} s"]
    if agreement := report.get("agreement"):
        sampled = counted(agreement["sampled"], "sampled unit")
        lines.append(f"for {sampled} {agreement['share']:.1%} of the ten nearest are the same by both models")
    if report["rejects"]:
        lines.append("that is below --min-agreement: not switched")
    lines.append(f"the model that queries use is {used}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
