"""Reader: recall in the caller's process. One embedding, one call to the store; the bank's owner is not asked."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from actors.clocks import SystemClock
from actors.cross_encoder import CrossEncoder
from actors.freshness import Freshness
from actors.kept import Kept
from actors.query_embedding import EmbedQuery, QueryEmbedder
from actors.settings import Settings
from actors.spaces import SpacesWatch
from actors.stores import DeploymentStore
from memory.as_of import plan_recall
from memory.document_reading import ALL, DocumentPart, Range, ReadDocument
from memory.encoding import decode_recall_profile, encode_unit
from memory.errors import NotFound
from memory.facts import is_expired
from memory.filters import TRUE, Between, Filter, Not, every, holds
from memory.ids import Scope
from memory.ingest import RECALL_PROFILE_KEY
from memory.query import Understood, understand
from memory.recall import Candidates, FindAnswer, RecallAnswer, RecallQuery, answer
from memory.recipes import Recipe, recipe_of
from memory.records import Embedding, RecallProfile, Record, RecordKind, Unit
from memory.reranking import Reranked
from memory.stack import Stack
from memory.store_calls import Batch, GetRecords, ListUnits, ReadHead, UnitPage
from memory.trimming import without

CACHED_PROFILES = 10_000
CACHED_QUERIES = 1_000
STEPS = ("understand", "embed", "store", "rank")
"""Of a recall, in order: profile and query, its vectors, both trips to the store, ranking and packing."""


@dataclass(frozen=True, slots=True)
class StackAnswer:
    """What a recall over several banks found, and which of them do not exist."""

    answer: RecallAnswer
    missing: tuple[str, ...] = ()


class Reader:
    """Recall over the store port; profiles and query vectors are cached.

    embed: makes a query's vectors; absent: an embedder of its own does.
    """

    def __init__(self, store: DeploymentStore, settings: Settings, embed: EmbedQuery | None = None) -> None:
        self._store = store
        self._clock = SystemClock()
        if embed is None:
            own = QueryEmbedder(store, settings)
            embed, self._space = own.embed, own.space
        else:
            self._space = SpacesWatch(store).active
        self._make: EmbedQuery = embed
        self._profile_ttl_s = settings.recall_profile_ttl_s
        self._profiles: OrderedDict[Scope, tuple[float, RecallProfile]] = OrderedDict()
        self._queries: OrderedDict[tuple[str, str], Embedding] = OrderedDict()
        self._freshness = Freshness(store)
        self._cross_encoder = CrossEncoder(settings)
        self._kept = Kept(settings)

    async def recall(self, scope: Scope, query: RecallQuery) -> RecallAnswer:
        """What matters for a query, best first; with a trace, how long each step took, too."""
        begun_s = time.perf_counter()
        stale = query.min_seq is not None and not await self._freshness.shows(scope, query.min_seq)
        profile = await self._profile(scope)
        now = self._clock.now()
        query = self._kept.narrow(scope, query, profile, now)
        asked_at = query.query_timestamp or query.as_of or now
        understood = understand(query.query, profile.speakers, asked_at, query.asked_of)
        understood_s = time.perf_counter()
        embedded = await self._embed(understood.bare)
        embedded_s = time.perf_counter()
        recipe = recipe_of(query.recipe, reranking=profile.reranking)
        if not (query.trace or query.as_of or self._cross_encoder.configured):
            answered = await self._store.perform(scope, FindAnswer(query, understood, embedded, recipe, now))
            return replace(answered, stale=True) if stale else answered
        candidates = await self._store.perform(scope, plan_recall(query, understood, embedded, recipe, now))
        found_s = time.perf_counter()
        reranked, failure = await self._cross(query, understood, candidates, recipe, reranking=profile.reranking)
        answered = answer(query, understood, candidates, recipe, reranked)
        answered = _timed(_noted(answered, reranked, failure), (begun_s, understood_s, embedded_s, found_s))
        return replace(answered, stale=True) if stale else answered

    async def kept(self, scope: Scope) -> Filter:
        """Units of a bank that no rule of retention has let go."""
        return self._kept.visible(scope, await self._profile(scope), self._clock.now()) or TRUE

    async def shown(self, scope: Scope, units: Mapping[str, Unit]) -> dict[str, Unit]:
        """Those of some units that are not past their time."""
        kept, now = await self.kept(scope), self._clock.now()
        left = {id_: unit for id_, unit in units.items() if not is_expired(unit, now)}
        return left if kept is TRUE else {id_: u for id_, u in left.items() if holds(kept, id_, encode_unit(u))}

    async def show_document(self, scope: Scope, document_id: str, chunks: Range = ALL) -> DocumentPart:
        """A document with a range of its chunks, as it is without those past their time.

        Raises:
            NotFound: the bank has no such document, or nothing is left of it.
            StoreDamaged: some of its chunks are gone.
        """
        ruled = await self.kept(scope) is not TRUE
        found = await self._store.perform(scope, ReadDocument(document_id, ALL if ruled else chunks))
        if found is not None and ruled and found.chunks:
            units = {unit.id: unit for unit in found.chunks}
            shown = await self.shown(scope, units)
            document = without(found.document, {id_: unit for id_, unit in units.items() if id_ not in shown})
            part = tuple(shown[entry.unit_id] for entry in document.chunks[slice(*chunks)])
            found = DocumentPart(document, part) if shown else None
        if found is None:
            raise NotFound(f"bank {scope.bank!r} has no document {document_id!r}")
        return found

    async def list_units(self, scope: Scope, call: ListUnits) -> UnitPage:
        """What a listing finds that is not past its time."""
        call = replace(call, where=every(call.where, await self.kept(scope)))
        page: UnitPage = await self._store.perform(scope, call)
        now = self._clock.now()
        if any(is_expired(unit, now) for unit in page.units):  # few, and gone soon: no listing else pays for the filter
            unexpired = Not(Between("expires_at", lte=now))
            page = await self._store.perform(scope, replace(call, where=every(call.where, unexpired)))
        return page

    async def recall_stack(
        self, banks: Sequence[Scope], query: RecallQuery, min_seqs: Mapping[str, int]
    ) -> StackAnswer:
        """What matters for a query in several banks, the nearest first; those that do not exist are named.

        min_seqs: as `min_seq` of a query, by bank.
        """
        begun_s = time.perf_counter()
        awaited = [(bank, min_seqs[bank.bank]) for bank in banks if bank.bank in min_seqs]
        shown = await asyncio.gather(*(self._freshness.shows(bank, seq) for bank, seq in awaited))
        profiles = await self._profiles_of(banks)
        speakers = dict.fromkeys(name for profile in profiles if profile is not None for name in profile.speakers)
        now = self._clock.now()
        asked_at = query.query_timestamp or query.as_of or now
        understood = understand(query.query, speakers, asked_at, query.asked_of)
        understood_s = time.perf_counter()
        embedded = await self._embed(understood.bare)
        embedded_s = time.perf_counter()
        present = [(bank, profile) for bank, profile in zip(banks, profiles, strict=True) if profile is not None]
        recipes = [recipe_of(query.recipe, reranking=profile.reranking) for _, profile in present]
        asked = [
            (bank, plan_recall(self._kept.narrow(bank, query, profile, now), understood, embedded, recipe, now))
            for (bank, profile), recipe in zip(present, recipes, strict=True)
        ]
        found = await self._store.perform_each(asked) if asked else []
        found_s = time.perf_counter()
        reranking = any(profile.reranking for _, profile in present)
        stack = Stack.of([(bank.bank, one) for (bank, _), one in zip(present, found, strict=True)])
        recipe = recipe_of(query.recipe, reranking=reranking)
        reranked, failure = await self._cross(query, understood, stack.candidates, recipe, reranking=reranking)
        answered = _noted(stack.answer(query, understood, recipe, reranked), reranked, failure)
        missing = tuple(bank.bank for bank, profile in zip(banks, profiles, strict=True) if profile is None)
        answered = _timed(answered, (begun_s, understood_s, embedded_s, found_s))
        return StackAnswer(replace(answered, stale=not all(shown)), missing)

    async def _cross(
        self, query: RecallQuery, understood: Understood, found: Candidates, recipe: Recipe, *, reranking: bool
    ) -> tuple[Reranked | None, str]:
        """What a cross-encoder says of the best candidates, or why it says nothing; asked for no recipe by name."""
        if not self._cross_encoder.configured or query.recipe or not reranking:
            return None, ""
        return await self._cross_encoder.rerank(understood, found, recipe)

    async def _profiles_of(self, banks: Sequence[Scope]) -> list[RecallProfile | None]:
        """Recall profiles of banks; None where there is no such bank, which is never remembered."""
        oldest_s = time.monotonic() - self._profile_ttl_s
        known = {bank: self._profiles[bank][1] for bank in banks if bank in self._profiles}
        known = {bank: profile for bank, profile in known.items() if self._profiles[bank][0] >= oldest_s}
        asked = [bank for bank in banks if bank not in known]
        look: Batch[Any] = Batch((ReadHead(), GetRecords(RecordKind.RECALL_PROFILE, (RECALL_PROFILE_KEY,))))
        found = await self._store.perform_each([(bank, look) for bank in asked]) if asked else []
        for bank, (head, records) in zip(asked, found, strict=True):
            if head is not None and head.exists:
                known[bank] = _profile_in(records)
                _remember(self._profiles, bank, (time.monotonic(), known[bank]), CACHED_PROFILES)
        return [known.get(bank) for bank in banks]

    async def _profile(self, scope: Scope) -> RecallProfile:
        known = self._profiles.get(scope)
        now_s = time.monotonic()
        if known is not None and now_s - known[0] <= self._profile_ttl_s:
            return known[1]
        found = await self._store.perform(scope, GetRecords(RecordKind.RECALL_PROFILE, (RECALL_PROFILE_KEY,)))
        profile = _profile_in(found)
        _remember(self._profiles, scope, (now_s, profile), CACHED_PROFILES)
        return profile

    async def _embed(self, text: str) -> Embedding:
        key = (await self._space(), text)
        known = self._queries.get(key)
        if known is not None:
            self._queries.move_to_end(key)
            return known
        made = await self._make(text)
        _remember(self._queries, key, made, CACHED_QUERIES)
        return made


def _profile_in(records: Mapping[str, Record]) -> RecallProfile:
    record = records.get(RECALL_PROFILE_KEY)
    return decode_recall_profile(record.body) if record else RecallProfile()


def _noted(answered: RecallAnswer, reranked: Reranked | None, failure: str) -> RecallAnswer:
    """The answer, with whether a cross-encoder had its say where it was asked."""
    if reranked is None and not failure:
        return answered
    trace = answered.trace
    if trace is not None:
        count = len(reranked.places) if reranked is not None else 0
        trace = {**trace, "reranker": {"candidates": count, "failure": failure or None}}
    return replace(answered, trace=trace, reranked=reranked is not None)


def _timed(answered: RecallAnswer, began_s: tuple[float, ...]) -> RecallAnswer:
    """The answer, with how long each of STEPS took if there is a trace; began_s: when each began."""
    if answered.trace is None:
        return answered
    ends_s = (*began_s[1:], time.perf_counter())
    steps = zip(STEPS, began_s, ends_s, strict=True)
    timings_ms = {name: (end_s - start_s) * 1000 for name, start_s, end_s in steps}
    return replace(answered, trace={**answered.trace, "timings_ms": timings_ms})


def _remember(cache: OrderedDict, key: object, value: object, size: int) -> None:  # type: ignore[type-arg]  # of any keys and values
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > size:
        cache.popitem(last=False)
