"""What is left of a tenant or a bank anywhere in the store: its banks, its addresses, what was spent for it today."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.auditing import Source
from memory.audit_calls import RawPage, ScanRecords
from memory.ids import SYSTEM, Scope, scope_of_key
from memory.leftovers import REMOVED, FindLeftovers, Leftovers
from memory.records import RecordKind
from memory.stepping import drive

SCOPES_PAGE = 256


@dataclass(slots=True)
class Scan:
    """By bank what is left of it; beside them points of banks without a head, and records of the deployment's own."""

    banks: dict[str, Leftovers] = field(default_factory=dict)
    strays: int = 0
    addresses: int = 0
    """Scopes that a bank of the tenant has."""
    spent_today: list[str] = field(default_factory=list)
    """Banks whose spending of the language model is counted until the day ends, by name, so that caps hold."""

    @property
    def content(self) -> list[str]:
        """Banks of which anything is left that they held."""
        return [bank for bank, left in self.banks.items() if left.content]

    @property
    def clean(self) -> bool:
        """Nothing that was held is left: heads of deleted banks, and emptied records until they are swept, at most."""
        return not (self.content or self.strays or self.addresses)

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON."""
        totals = {name: sum(getattr(left, name) for left in self.banks.values()) for name in ("units", "emptied")}
        left = {bank: asdict(found) for bank, found in self.banks.items() if not found.nothing}
        return {
            "clean": self.clean, "banks_scanned": len(self.banks), **totals, "left": left, "strays": self.strays,
            "addresses": self.addresses, "spent_today": self.spent_today,
        }  # fmt: skip

    def sentences(self) -> list[str]:
        """In words."""
        said = []
        if self.content or self.strays or self.addresses:
            points = sum(left.units + sum(left.records.values()) for left in self.banks.values())
            said.append(
                f"still there: {points} points in {len(self.content)} banks, {self.strays} of banks without a head,"
                f" {self.addresses} scopes"
            )
        else:
            said.append(f"scanned {len(self.banks)} of its banks, all deleted: nothing of what they held is left")
        if emptied := sum(left.emptied + left.history for left in self.banks.values()):
            when = max((left.due_at for left in self.banks.values() if left.due_at), default=None)
            said.append(f"{emptied} emptied records keep their ids for a while; they are swept from {when} on")
        if self.spent_today:
            said.append(f"tokens spent today are counted by name until midnight UTC: {', '.join(self.spent_today)}")
        return said


async def scan(source: Source, tenant: str, bank: str | None = None) -> Scan:
    """Look at every point of a tenant's banks, or of one."""

    def covers(scope: Scope) -> bool:
        return scope.tenant == tenant and bank in {None, scope.bank}

    found = Scan()
    start: str | None = None
    while True:
        page = await source.list_scopes(start, SCOPES_PAGE)
        for scope in filter(covers, page.scopes):
            found.banks[scope.bank] = await drive(source.inspect, scope, FindLeftovers().steps())
        if (start := page.next) is None:
            break
    for stray in await source.list_strays():
        if stray.bank_key is not None and covers(_scope(stray.bank_key)):
            found.strays += stray.points
    await _deployment(source, found, covers)
    return found


async def _deployment(source: Source, found: Scan, covers: Callable[[Scope], bool]) -> None:
    start: str | None = None
    while True:
        page: RawPage = await source.inspect(SYSTEM, ScanRecords(start, SCOPES_PAGE))
        for _, payload in page.points:
            if payload["status"] == REMOVED:
                continue
            if payload["kind"] == RecordKind.ADDRESS:
                tenant, *_names = json.loads(payload["key"])
                holder = json.loads(payload["body"])["bank"]
                found.addresses += holder is not None and covers(Scope(tenant, holder))
            elif payload["kind"] == RecordKind.SPENDING:
                rows = json.loads(payload["body"]).get("spent", ())
                found.spent_today += [bank for tenant, bank, _ in rows if covers(Scope(tenant, bank))]
        if (start := page.next) is None:
            return


def _scope(key: str) -> Scope:
    try:
        return scope_of_key(key)
    except ValueError:
        return SYSTEM
