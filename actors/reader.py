"""Reader: recall in the caller's process. One embedding, one call to the store; the bank's owner is not asked."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from actors.clocks import SystemClock
from actors.settings import Settings
from actors.wiring import build_embedder
from memory.encoding import decode_recall_profile
from memory.ids import Scope
from memory.ingest import RECALL_PROFILE_KEY
from memory.query import understand
from memory.recall import FindAnswer, RecallAnswer, RecallQuery, answer, plan_candidates
from memory.recipes import recipe_of
from memory.records import Embedding, RecallProfile, RecordKind
from memory.store_calls import GetRecords, Store

EmbedQuery = Callable[[str], Awaitable[Embedding]]
CACHED_PROFILES = 10_000
CACHED_QUERIES = 1_000
STEPS = ("understand", "embed", "store", "rank")
"""Of a recall, in order: profile and query, its vectors, both trips to the store, ranking and packing."""


class Reader:
    """Recall over the store port; profiles and query vectors are cached.

    embed: makes a query's vectors; absent: an embedder of its own does.
    """

    def __init__(self, store: Store, settings: Settings, embed: EmbedQuery | None = None) -> None:
        self._store = store
        self._clock = SystemClock()
        self._make = embed or _own_embedder(settings)
        self._profile_ttl_s = settings.recall_profile_ttl_s
        self._profiles: OrderedDict[Scope, tuple[float, RecallProfile]] = OrderedDict()
        self._queries: OrderedDict[str, Embedding] = OrderedDict()

    async def recall(self, scope: Scope, query: RecallQuery) -> RecallAnswer:
        """What matters for a query, best first; with a trace, how long each step took, too."""
        begun_s = time.perf_counter()
        profile = await self._profile(scope)
        asked_at = query.query_timestamp or self._clock.now()
        understood = understand(query.query, profile.speakers, asked_at, query.asked_of)
        understood_s = time.perf_counter()
        embedded = await self._embed(understood.bare)
        embedded_s = time.perf_counter()
        recipe = recipe_of(query.recipe, reranking=profile.reranking)
        if not query.trace:
            return await self._store.perform(scope, FindAnswer(query, understood, embedded, recipe))
        candidates = await self._store.perform(scope, plan_candidates(query, understood, embedded, recipe))
        found_s = time.perf_counter()
        answered = answer(query, understood, candidates, recipe)
        ends_s = (understood_s, embedded_s, found_s, time.perf_counter())
        steps = zip(STEPS, (begun_s, *ends_s), ends_s, strict=False)
        timings_ms = {name: (end_s - start_s) * 1000 for name, start_s, end_s in steps}
        return replace(answered, trace={**(answered.trace or {}), "timings_ms": timings_ms})

    async def _profile(self, scope: Scope) -> RecallProfile:
        known = self._profiles.get(scope)
        now_s = time.monotonic()
        if known is not None and now_s - known[0] <= self._profile_ttl_s:
            return known[1]
        found = await self._store.perform(scope, GetRecords(RecordKind.RECALL_PROFILE, (RECALL_PROFILE_KEY,)))
        record = found.get(RECALL_PROFILE_KEY)
        profile = decode_recall_profile(record.body) if record else RecallProfile()
        _remember(self._profiles, scope, (now_s, profile), CACHED_PROFILES)
        return profile

    async def _embed(self, text: str) -> Embedding:
        known = self._queries.get(text)
        if known is not None:
            self._queries.move_to_end(text)
            return known
        made = await self._make(text)
        _remember(self._queries, text, made, CACHED_QUERIES)
        return made


def _own_embedder(settings: Settings) -> EmbedQuery:
    embedder = build_embedder(settings)
    threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="embed")

    async def embed(text: str) -> Embedding:
        loop = asyncio.get_running_loop()
        return (await loop.run_in_executor(threads, embedder.embed_with_tokens, [text]))[0]

    return embed


def _remember(cache: OrderedDict, key: object, value: object, size: int) -> None:  # type: ignore[type-arg]
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > size:
        cache.popitem(last=False)
