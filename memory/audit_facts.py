"""Audit of one bank's facts: their documents, their standing among each other, and the answers they were found in."""

import json
from collections.abc import Mapping
from typing import Any

from memory.breaches import Audit, BreachKind, DocumentsSeen
from memory.cascade import DERIVED
from memory.encoding import decode_unit
from memory.entity_names import decode_entity
from memory.known_facts import KnownFacts, is_extracted, relinked_to, standing_of
from memory.records import RecordKind, Unit, UnitKind, UnitState

REMOVED = "removed"
Payload = Mapping[str, Any]
_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError)


class FactAudit:
    """Sees every unit and record, keeps the facts, and looks at them when all was seen."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._facts: dict[str, Unit] = {}
        self._answers: dict[str, str] = {}
        """Hash of a window -> the document that its answer is for."""
        self._listed: dict[str, str] = {}
        """Hash of a window -> the document whose work lists it."""
        self._entities: dict[str, Payload] = {}

    def look_at_unit(self, point: str, payload: Payload) -> None:
        """Remember a live fact."""
        if payload.get("kind") == UnitKind.FACT and payload.get("state") == UnitState.LIVE:
            try:
                unit = decode_unit(point, payload)
            except _UNREADABLE:
                return  # reported with the other units
            if is_extracted(unit):
                self._facts[point] = unit

    def look_at_record(self, payload: Payload) -> None:
        """Remember an answer, what work lists, and what was said of an entity by hand."""
        kind, key = payload.get("kind"), str(payload.get("key"))
        if kind not in {RecordKind.WINDOW, RecordKind.STAGES, RecordKind.ENTITY} or payload.get("status") == REMOVED:
            return
        try:
            body = json.loads(payload["body"])
            if kind == RecordKind.WINDOW:
                self._answers[key] = str(body["document_id"])
            elif kind == RecordKind.STAGES:
                self._listed.update(dict.fromkeys(body.get("windows", ()), key))
            else:
                self._entities[key] = body
        except _UNREADABLE as exc:
            self._audit.report(BreachKind.UNREADABLE, f"{kind} {key!r}", f"the body cannot be read: {exc!r}")

    def conclude(self, documents: DocumentsSeen) -> None:
        """Report facts and answers without their document, and facts whose standing is not what the others make it."""
        audit = self._audit
        for window, document_id in sorted(self._answers.items()):
            if self._listed.get(window) != document_id:
                what = f"it is an answer for document {document_id!r}, whose work does not list it"
                audit.report(BreachKind.ANSWER, f"window {window}", what, repairable=True)
                audit.remove.add((RecordKind.WINDOW, window))
        for window, document_id in sorted(self._listed.items()):
            if window not in self._answers:
                what = f"the work of document {document_id!r} lists it, and there is no answer"
                audit.report(BreachKind.ANSWER, f"window {window}", what)
        for point, unit in sorted(self._facts.items()):
            if unit.document_id not in documents:
                what = f"its document {unit.document_id!r} has no record"
                audit.report(BreachKind.ORPHAN, point, what, repairable=True)
                audit.retire.append(point)
                audit.uncount.update(("units", DERIVED, f"type:{unit.type.value}"))
                del self._facts[point]  # the others are to stand as they do without it
        self._look_at_standings()

    def _look_at_standings(self) -> None:
        known = KnownFacts(decode_entity(key, body) for key, body in self._entities.items())
        known.load(self._facts.values())
        for point, unit in sorted(self._facts.items()):
            said, found = standing_of(unit), known.knowledge.standing(point)
            wrong = [
                name
                for name, one, other in (
                    ("when it holds", said.validity, found.validity),
                    ("its entities", said.entities, found.entities),
                    ("its links", said.links, found.links),
                )
                if one != other
            ]
            if wrong:
                what = f"{' and '.join(wrong)}: not what the other facts make it"
                self._audit.report(BreachKind.SLOT, point, what, repairable=True)
                self._audit.relink.append(relinked_to(point, found))
