"""Audit of one bank's observations: what each rests on is there and counted, and nothing of what is gone is kept."""

import json
from collections.abc import Mapping
from typing import Any

from memory.breaches import Audit, BreachKind
from memory.cascade import DERIVED
from memory.encoding import decode_unit
from memory.records import RecordKind, Unit, UnitKind, UnitState

REMOVED = "removed"
Payload = Mapping[str, Any]
_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError)


class ObservationAudit:
    """Sees every unit and record, keeps the observations and ids of facts, and looks at them when all was seen."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._observations: dict[str, Unit] = {}
        self._facts: set[str] = set()
        self._told: dict[str, list[list[str]]] = {}
        """By observation, for each of its versions that is kept, what it rested on."""

    def look_at_unit(self, point: str, payload: Payload) -> None:
        """Remember a live observation, or that there is a fact."""
        kind = payload.get("kind")
        if payload.get("state") != UnitState.LIVE:
            return
        if kind == UnitKind.FACT:
            self._facts.add(point)
        elif kind == UnitKind.OBSERVATION:
            try:
                self._observations[point] = decode_unit(point, payload)
            except _UNREADABLE:
                return  # reported with the other units

    def look_at_record(self, payload: Payload) -> None:
        """Remember what an observation said before."""
        if payload.get("kind") != RecordKind.OBSERVATION or payload.get("status") == REMOVED:
            return
        key = str(payload.get("key"))
        try:
            versions = json.loads(payload["body"])["versions"]
            self._told[key] = [[str(fact) for fact in version["sources"]] for version in versions]
        except _UNREADABLE as exc:
            where = f"{RecordKind.OBSERVATION} {key!r}"
            self._audit.report(BreachKind.UNREADABLE, where, f"the body cannot be read: {exc!r}")

    def conclude(self) -> None:
        """Report observations that do not rest on what they say, and what is told of others."""
        for point, unit in sorted(self._observations.items()):
            wrong = self._wrong_with(unit)
            if wrong:
                self._audit.report(BreachKind.OBSERVATION, point, wrong, repairable=True)
                self._audit.retire.append(point)
                self._audit.uncount.update(("units", DERIVED, f"type:{unit.type.value}"))
                if point in self._told:
                    self._audit.remove.add((RecordKind.OBSERVATION, point))
        for key in sorted(self._told.keys() - self._observations.keys()):
            where = f"{RecordKind.OBSERVATION} {key!r}"
            self._audit.report(BreachKind.OBSERVATION, where, "there is no such observation", repairable=True)
            self._audit.remove.add((RecordKind.OBSERVATION, key))

    def _wrong_with(self, unit: Unit) -> str:
        cited = [source.unit_id for source in unit.sources]
        if not cited:
            return "it rests on nothing"
        if missing := [fact for fact in cited if fact not in self._facts]:
            return f"it rests on {missing[0]}, which is no live fact"
        if unit.proof_count != len(cited):
            return f"its proof count is {unit.proof_count}, it rests on {len(cited)} facts"
        held = {*cited, *(link.to for link in unit.links)}
        if any(not held.issuperset(version) for version in self._told.get(unit.id, ())):
            return "a text is kept of what it rested on before and does not point at"
        return ""
