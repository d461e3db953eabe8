"""What a verification prints: a table for people, one JSON document for programs."""

from collections import Counter
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobs.auditing import Findings, Outcome
from memory.breaches import Breach
from memory.ids import Scope

SHOWN = 50
"""Breaches written out one by one; JSON has all."""


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Everything about it, ready for JSON."""
    left = outcome.left
    return {
        "clean": left.clean,
        "banks": outcome.found.banks,
        "unchanged": outcome.found.unchanged,
        "units": outcome.found.units,
        "records": outcome.found.records,
        "vectors": outcome.found.vectors,
        "found": [_breach(breach) for breach in outcome.found.breaches],
        "repaired": [{**_bank(scope), **asdict(receipt)} for scope, receipt in outcome.repaired],
        "repair_failed": [{**_bank(scope), "why": why} for scope, why in outcome.refused],
        "left": [_breach(breach) for breach in left.breaches],
        "not_checked": [_bank(scope) for scope in left.moving],
    }


def show(outcome: Outcome, console: Console) -> None:
    """Summary first, then the breaches that are left."""
    found, left = outcome.found, outcome.left
    seen = f"{found.banks} banks, {found.units} units, {found.records} records, {found.vectors} vectors looked at"
    console.print(Text(seen + (f"; {found.unchanged} not written to since they were right" if found.unchanged else "")))
    if found.breaches:
        console.print(_summary(found, left if outcome.repaired else None))
    for scope, receipt in outcome.repaired:
        units = f"units: {receipt.retired} retired, {receipt.remade} remade, {receipt.revived} revived"
        console.print(Text(f"repaired {_name(scope)}: {units}; records: {receipt.records}"), soft_wrap=True)
    for scope, why in outcome.refused:
        console.print(Text(f"not repaired {_name(scope)}: {why}", style="red"), soft_wrap=True)
    for breach in left.breaches[:SHOWN]:
        mendable = "" if breach.repairable else " (cannot be repaired)"
        line = f"{_name(breach.bank)}: {breach.kind.value}: {breach.where}: {breach.what}{mendable}"
        console.print(Text(line), soft_wrap=True)
    if len(left.breaches) > SHOWN:
        console.print(f"and {len(left.breaches) - SHOWN} more; --json shows all")
    for scope in left.moving:
        console.print(Text(f"{_name(scope)}: busy, checked against a moving head: not checked"), soft_wrap=True)
    console.print(Text("clean" if left.clean else _verdict(left), style="green" if left.clean else "bold red"))


def _verdict(left: Findings) -> str:
    parts = [f"{len(left.breaches)} breaches"] if left.breaches else []
    if left.moving:
        parts.append(f"{len(left.moving)} banks not checked")
    return ", ".join(parts)


def _summary(found: Findings, left: Findings | None) -> Table:
    table = Table(header_style="bold")
    for column in ("breach", "found", "banks", "repairable", *(("left",) if left else ())):
        table.add_column(column, justify="left" if column == "breach" else "right")
    after = Counter(breach.kind for breach in left.breaches) if left else Counter()
    for kind, count in sorted(Counter(breach.kind for breach in found.breaches).items()):
        some = [breach for breach in found.breaches if breach.kind is kind]
        banks, mendable = len({breach.bank for breach in some}), sum(breach.repairable for breach in some)
        table.add_row(kind.value, *map(str, (count, banks, mendable)), *((str(after[kind]),) if left else ()))
    return table


def _breach(breach: Breach) -> dict[str, Any]:
    facts = {"kind": breach.kind.value, "where": breach.where, "what": breach.what, "repairable": breach.repairable}
    return {**_bank(breach.bank), **facts}


def _bank(scope: Scope) -> dict[str, str]:
    return {"tenant": scope.tenant, "bank": scope.bank}


def _name(scope: Scope) -> str:
    return f"{scope.tenant}/{scope.bank}" if scope.tenant or scope.bank else "deployment"
