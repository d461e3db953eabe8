"""Recall as a bank stood at an earlier time: what had been told by then, facts that held then, what is gone since.

When a unit was told is its `mentioned_at`: the time the caller gives for it, else the time it came. A unit without one
(`timestamp: unset`) counts from when it came.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from memory.encoding import instant_from_text
from memory.events import committed_of
from memory.filters import All, Any_, AnyOf, Between, Empty, Filter, every
from memory.query import Understood
from memory.recall import Candidates, FindCandidates, RecallQuery, plan_candidates
from memory.recipes import Recipe
from memory.records import Embedding, Head, Record, RecordKind, Unit, UnitKind
from memory.store_calls import Call, GetUnits, Hits, ListRecords, ReadHead, RecordPage
from memory.sweeping import HISTORY_COMMITS

FACTS: Filter = AnyOf("kind", (UnitKind.FACT.value,))
_CHAIN = 16
"""Facts that were told late, each of which closes the one before: how many are followed."""


def told_by(when: datetime) -> Filter:
    """Units that had been told at an instant."""
    timeless = All((Empty("mentioned_at"), Between("recorded_at", lte=when)))
    return Any_((Between("mentioned_at", lte=when), timeless))


@dataclass(frozen=True, slots=True)
class FindAsOf:
    """Procedure: the candidates of an earlier time, and whether something of that time is gone."""

    find: FindCandidates
    when: datetime

    def steps(self) -> Generator[Call[Any], Any, Candidates]:
        """Two trips as ever, one to see what closed the facts found, one for the bank's history."""
        candidates = yield from self.find.steps()
        facts = candidates.facts
        if facts.ids:
            holding = yield from _holding_at(facts.ids, self.when)
            kept = [place for place, unit in enumerate(facts.ids) if unit in holding]
            facts = Hits(
                tuple(facts.ids[i] for i in kept),
                tuple(_open_ended(facts.payloads[i]) for i in kept),
                facts.semantic[np.array(kept, dtype=np.intp)],
                facts.keyword[np.array(kept, dtype=np.intp)],
            )
        incomplete = yield from _has_lost_since(self.when)
        return replace(candidates, facts=facts, incomplete=incomplete)


def plan_recall(
    query: RecallQuery, understood: Understood, embedded: Embedding, recipe: Recipe, now: datetime | None = None
) -> FindCandidates | FindAsOf:
    """What to ask the store for a recall, of now or of an earlier time."""
    find = plan_candidates(query, understood, embedded, recipe, query.as_of or now)
    if query.as_of is None:
        return find
    return FindAsOf(replace(find, where=every(find.where, told_by(query.as_of)), facts=FACTS), query.as_of)


def _open_ended(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """A fact as it was known while it held: until when was told later."""
    return {key: value for key, value in payload.items() if key != "valid_to"}


def _holding_at(ids: tuple[str, ...], when: datetime) -> Generator[Call[Any], Any, frozenset[str]]:
    """Which facts were closed by none that had been told then; those told later are seen through."""
    found: Mapping[str, Unit] = yield GetUnits(ids)
    closed_by = {unit: found[unit].superseded_by for unit in ids if unit in found}
    known: dict[str, Unit] = dict(found)
    for _ in range(_CHAIN):
        missing = tuple(sorted({by for by in closed_by.values() if by is not None and by not in known}))
        if missing:
            known |= yield GetUnits(missing)
        step = {unit: _seen_through(by, known, when) for unit, by in closed_by.items()}
        if step == closed_by:
            break
        closed_by = step
    return frozenset(unit for unit, by in closed_by.items() if by is None)


def _seen_through(by: str | None, known: Mapping[str, Unit], when: datetime) -> str | None:
    """What closes a fact: what it names, or what closes that one in its turn where it had not been told yet."""
    if by is None or by not in known:  # one that is gone closes nothing: its removal has been said to be a loss
        return None
    told = known[by].mentioned_at or known[by].recorded_at
    return by if told is None or told <= when else known[by].superseded_by


def _has_lost_since(when: datetime) -> Generator[Call[Any], Any, bool]:
    """Whether units went after an instant, or the history that would tell does not reach back to it."""
    head: Head | None = yield ReadHead()
    if head is None or not head.commit:
        return False
    if head.incomplete_before is not None and head.incomplete_before > when:
        return True
    page: RecordPage = yield ListRecords(RecordKind.COMMIT, 3 * HISTORY_COMMITS)
    commits = committed_of(head, page.records)
    if not commits:
        return head.updated_at is None or head.updated_at > when
    lost_at = _lost_at(commits, head.updated_at)
    return lost_at is not None and lost_at > when


@dataclass(frozen=True, slots=True)
class ReadIncomplete:
    """Procedure: the instant before which what a bank held may be gone, as far as its history tells; None: never."""

    def steps(self) -> Generator[Call[Any], Any, datetime | None]:
        """As of any earlier instant a recall says `history_incomplete`."""
        head: Head | None = yield ReadHead()
        if head is None or not head.commit:
            return None
        page: RecordPage = yield ListRecords(RecordKind.COMMIT, 3 * HISTORY_COMMITS)
        commits = committed_of(head, page.records)
        known = [head.incomplete_before, _lost_at(commits, head.updated_at) if commits else head.updated_at]
        return max((at for at in known if at is not None), default=None)


def _lost_at(commits: Sequence[Record], now: datetime | None) -> datetime | None:
    """When units went last, or how far back the commits reach; those that do not say when were made `now`."""
    latest = now or datetime.max.replace(tzinfo=UTC)
    lost = [_made_at(record.body) or latest for record in commits if _took_away(record.body)]
    if commits[0].order > 1:
        lost.append(_made_at(commits[0].body) or latest)
    return max(lost, default=None)


def _made_at(body: Mapping[str, Any]) -> datetime | None:
    """When a commit was made; those of earlier versions do not say."""
    return instant_from_text(body["at"]) if body.get("at") else None


def _took_away(body: Mapping[str, Any]) -> bool:
    return bool(body["retired"] if body.get("settled") else body["retire"]) or bool(body.get("clear"))
