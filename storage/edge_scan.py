"""Looks over all banks of a directory at once, for what is done when it is opened."""

from collections import Counter
from dataclasses import dataclass, field

from qdrant_edge import EdgeShard, Filter

from memory.cascade import DERIVED
from memory.filters import AnyOf
from memory.ids import Scope
from memory.plans import WHOLE
from memory.records import RecordKind, UnitKind, UnitState
from storage import schema
from storage.edge_scroll import all_payloads
from storage.query_to_edge import condition


@dataclass(slots=True)
class Stamp:
    """The highest seq and epoch of a bank's live units, and their number in all and by type."""

    seq: int = 0
    epoch: int = 0
    counters: Counter[str] = field(default_factory=Counter)


class EdgeScan:
    """Reads without a bank; nothing a caller asks for goes through here."""

    def __init__(self, units: EdgeShard, records: EdgeShard) -> None:
        self._units = units
        self._records = records

    def with_whole_commits(self) -> tuple[Scope, ...]:
        """Banks that have commit records with texts."""
        where = (AnyOf(schema.KIND, (RecordKind.COMMIT.value,)), AnyOf(schema.STATUS, (WHOLE,)))
        return self._banks(*where)

    def with_documents(self) -> tuple[Scope, ...]:
        """Banks that have documents."""
        return self._banks(AnyOf(schema.KIND, (RecordKind.DOCUMENT.value,)))

    def stamps(self) -> dict[Scope, Stamp]:
        """What the live units of each bank show."""
        found: dict[Scope, Stamp] = {}
        keys = [schema.TENANT, schema.BANK, schema.SEQ, schema.EPOCH, "kind", "type"]
        live = Filter(must=[condition(AnyOf(schema.STATE, (UnitState.LIVE.value,)))])
        for payload in all_payloads(self._units, live, keys):
            stamp = found.setdefault(Scope(payload[schema.TENANT], payload[schema.BANK]), Stamp())
            stamp.seq = max(stamp.seq, payload[schema.SEQ])
            stamp.epoch = max(stamp.epoch, payload[schema.EPOCH])
            stamp.counters["units"] += 1
            if payload["kind"] != UnitKind.CHUNK.value:
                stamp.counters[DERIVED] += 1
            stamp.counters[f"type:{payload['type']}"] += 1
        return found

    def _banks(self, *where: AnyOf) -> tuple[Scope, ...]:
        matching = Filter(must=[condition(part) for part in where])
        payloads = all_payloads(self._records, matching, [schema.TENANT, schema.BANK])
        return tuple({Scope(payload[schema.TENANT], payload[schema.BANK]): None for payload in payloads})
