"""What the store still holds of a bank, point by point, whatever its head says: for those who want to know it gone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from memory.audit_calls import RawPage, ScanRecords, ScanUnits
from memory.protocol import Steps
from memory.records import RecordKind

PAGE = 256
REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Points of a bank. emptied: records that were removed and hold no more than their key, until they are swept.

    history: what was done in the bank, without texts, which goes with them. due_at: when the bank is looked at next.
    """

    units: int = 0
    records: Mapping[str, int] = field(default_factory=dict)
    emptied: int = 0
    history: int = 0
    exists: bool = False
    due_at: str | None = None

    @property
    def content(self) -> bool:
        """Whether anything is left of what the bank held."""
        return bool(self.units or self.records or self.exists)

    @property
    def nothing(self) -> bool:
        """Whether the head of a deleted bank is all there is."""
        return not (self.content or self.emptied or self.history)


@dataclass(frozen=True, slots=True)
class FindLeftovers:
    """Procedure: counts everything of a bank over raw pages of every collection."""

    def steps(self) -> Steps[Leftovers]:
        """What there is."""
        units, start = 0, None
        while True:
            page: RawPage = yield ScanUnits(start, PAGE)
            units += len(page.points)
            if (start := page.next) is None:
                break
        records: Counter[str] = Counter()
        emptied = history = 0
        exists, due_at = False, None
        while True:
            page = yield ScanRecords(start, PAGE)
            for _, payload in page.points:
                kind = str(payload["kind"])
                if kind == RecordKind.HEAD:
                    exists, due_at = payload["status"] == "exists", payload.get("due_at")
                elif payload["status"] == REMOVED:
                    emptied += 1
                elif kind == RecordKind.COMMIT:
                    history += 1
                else:
                    records[kind] += 1
            if (start := page.next) is None:
                return Leftovers(units, dict(records), emptied, history, exists, due_at)
