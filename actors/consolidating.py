"""What comes of a batch of facts: by rules, or by the language model, one call for each scope of the batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from actors.bank_ports import Consolidation, Embed, beside_loop
from actors.clocks import SystemClock
from actors.language_model import RemoteChat
from actors.settings import Settings
from memory.bank_profile import scoping_of
from memory.consolidating.asking import (
    Ask,
    Decision,
    answer_schema,
    build_ask,
    edits_of,
    messages_of,
    read_decisions,
)
from memory.consolidating.commands import Batch, Edits, Put
from memory.consolidating.rules import decide_by_rules
from memory.consolidating.scopes import Tags, scopes_of
from memory.directives import DIRECTIVES, MAX_DIRECTIVES, applying, decode_directive
from memory.errors import RetryLater, Unprocessable
from memory.extraction.grouping import estimate_tokens
from memory.filters import AnyOf, every, tags_filter
from memory.ids import Scope
from memory.ports import Chat, ChatRequest, Clock
from memory.records import RecordKind, Source, Unit, UnitKind
from memory.reflecting.port import Brief
from memory.store_calls import GetUnits, Lane, LaneHits, ListRecords, ReadHead, SearchLanes, Store

UNITS_AT_ONCE = 256
"""Units read in one call."""
ANSWER_TOKENS = 2_000
SHOWN_TOKENS = 8_000
"""Of facts and observations in one call."""
NEAREST = 4
"""Observations that are looked for by each new fact."""
ATTEMPTS = 2
"""Answers asked for until one can be read."""
FACT_BYTES = 20_000
"""What deciding on a fact by rules costs, as `beside_loop` counts."""
UNREADABLE = "the language model's answer could not be read"


def consolidation_of(settings: Settings, store: Store, embed: Embed, nonce: Callable[[], str]) -> Consolidation | None:
    """The port by which banks have observations made; None where the deployment has none."""
    if settings.consolidation == "off":
        return None
    if settings.consolidation == "rules" or not settings.llm_base_url:
        rules = RuleConsolidator(store, SystemClock())
        return Consolidation(rules.decide, settings.consolidate_facts, settings.consolidate_pause_s)
    model = ModelConsolidator(store, RemoteChat(), embed, SystemClock(), nonce, settings.refresh_deadline_s)
    facts = min(settings.consolidate_facts, MODEL_FACTS)
    return Consolidation(model.decide, facts, settings.consolidate_pause_s, with_model=True)


MODEL_FACTS = 24
"""New facts of one batch at most, where a language model reads them."""


class RuleConsolidator:
    """Decides by rules."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def decide(self, scope: Scope, batch: Batch) -> Edits:
        """The observations that follow from the batch's groups."""
        cited = {id_ for group in batch.groups if len(group.members) > 1 for id_ in group.cited}
        facts = await read_units(self._store, scope, sorted(cited))
        return await beside_loop(FACT_BYTES * len(cited), decide_by_rules, scope, batch, facts, self._clock.now())


class ModelConsolidator:
    """Decides by the language model; writes nothing."""

    def __init__(
        self, store: Store, chat: Chat, embed: Embed, clock: Clock, nonce: Callable[[], str], seconds: float
    ) -> None:
        self._store = store
        self._chat = chat
        self._embed = embed
        self._clock = clock
        self._nonce = nonce
        self._seconds = seconds

    async def decide(self, scope: Scope, batch: Batch) -> Edits:
        """What the model makes of the batch; nothing at all while it does not answer."""
        ids = dict.fromkeys((*batch.facts, *(id_ for ids in batch.near.values() for id_ in ids)))
        units = await read_units(self._store, scope, [*ids])
        standing = {id_: unit for id_, unit in units.items() if unit.superseded_by is None}
        new = [standing[id_] for id_ in batch.facts if id_ in standing]
        default = scoping_of(batch.settings)
        scopes = {one for unit in new for one in _scopes(unit, default)} | {unit.tags for unit in batch.existing}
        embedded = await self._embed([unit.text for unit in new]) if new else []
        vectors = {unit.id: vector for unit, vector in zip(new, embedded, strict=True)}
        puts: list[Put] = []
        retire: list[Unit] = []
        left: dict[str, None] = {}
        why = ""
        for tags in sorted(scopes):
            own = [unit for unit in new if tags in _scopes(unit, default)]
            found = await self._nearest(scope, tags, [vectors[unit.id] for unit in own])
            held = {unit.id: unit for unit in batch.existing if unit.tags == tags} | found
            missing = {source.unit_id for unit in held.values() for source in unit.sources} - units.keys()
            read = await read_units(self._store, scope, sorted(missing))
            units |= read
            standing |= {id_: unit for id_, unit in read.items() if unit.superseded_by is None}
            near = [standing[id_] for unit in own for id_ in batch.near.get(unit.id, ()) if id_ in standing]
            near = [unit for unit in near if tags in _scopes(unit, default)]
            ask = build_ask(tags, own, near, held.values(), standing, SHOWN_TOKENS)
            try:
                decisions = await self._ask(scope, ask, batch.settings)
            except RetryLater as exc:
                return Edits(failed=str(exc), retry_after_s=exc.retry_after_s)
            if isinstance(decisions, str):
                why, decisions = decisions, []
                left |= dict.fromkeys(unit.id for unit in own)
            edits = edits_of(scope, ask, decisions, self._nonce(), self._clock.now())
            puts += edits.puts
            retire += edits.retire
        read_as = tuple(Source(unit.id, unit.seq, unit.content_hash) for unit in units.values())
        return Edits(tuple(puts), tuple(retire), read_as, why, final=bool(why), left=tuple(left))

    async def _ask(self, scope: Scope, ask: Ask, settings: Mapping[str, Any]) -> list[Decision] | str:
        """The model's decisions, or why there are none and will be none."""
        if ask.is_idle:
            return []
        messages = messages_of(ask, await self._brief(scope, ask.scope, settings))
        request = ChatRequest(
            tenant=scope.tenant,
            bank=scope.bank,
            messages=messages,
            schema=answer_schema(),
            max_tokens=ANSWER_TOKENS,
            prompt_tokens=sum(estimate_tokens(message["content"]) for message in messages),
            timeout_s=self._seconds,
        )
        for _ in range(ATTEMPTS):
            try:
                completion = await self._chat.ask(request)
            except Unprocessable as exc:
                return str(exc)
            if (decisions := read_decisions(completion.text)) is not None:
                return decisions
        return UNREADABLE

    async def _brief(self, scope: Scope, tags: Tags, settings: Mapping[str, Any]) -> Brief:
        """The owner's rules that hold in a scope, and what observations are for."""
        head = await self._store.perform(scope, ReadHead())
        rules = []
        if head is not None and head.counters.get(DIRECTIVES):
            page = await self._store.perform(scope, ListRecords(RecordKind.DIRECTIVE, MAX_DIRECTIVES))
            rules = [decode_directive(record) for record in page.records]
        where = every(tags_filter(tags, "any_strict"))
        applies = applying(rules, where, scoped=bool(tags))
        return Brief(directives=applies, mission=str(settings.get("observations_mission") or ""))

    async def _nearest(self, scope: Scope, tags: Tags, vectors: Sequence[Any]) -> dict[str, Unit]:
        """Observations of a scope that are nearest to new facts."""
        if not vectors:
            return {}
        where = every(AnyOf("kind", (UnitKind.OBSERVATION.value,)), tags_filter(tags, "exact"))
        lanes = tuple(Lane(NEAREST, dense=vector.dense, space=vector.space) for vector in vectors)
        found: tuple[LaneHits, ...] = await self._store.perform(scope, SearchLanes(lanes, where))
        return await read_units(self._store, scope, list(dict.fromkeys(id_ for lane in found for id_ in lane.ids)))


async def read_units(store: Store, scope: Scope, ids: Sequence[str]) -> dict[str, Unit]:
    """Live units by id, in slices."""
    found: dict[str, Unit] = {}
    for start in range(0, len(ids), UNITS_AT_ONCE):
        found |= await store.perform(scope, GetUnits(tuple(ids[start : start + UNITS_AT_ONCE])))
    return found


def _scopes(unit: Unit, default: str) -> tuple[Tags, ...]:
    return scopes_of(unit.tags, unit.scoping or default)
