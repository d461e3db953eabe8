"""Embeds queries in a process of its own model: in the space that is asked now, once that model is loaded here."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from actors.settings import Settings
from actors.spaces import SpacesWatch, settings_of
from actors.wiring import build_embedder
from memory.ports import Embedder
from memory.records import Embedding
from memory.spaces import Spaces
from memory.store_calls import Store

EmbedQuery = Callable[[str], Awaitable[Embedding]]

AGAIN_S = 10.0
"""After this long a model that could not be loaded is tried again."""
log = logging.getLogger("lorebank.spaces")


class QueryEmbedder:
    """Loads the models of all spaces that are written as soon as they are known, so that a switch holds nobody up."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._settings = settings
        self._watch = SpacesWatch(store)
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="embed")
        own = build_embedder(settings)
        self._embedders = {repr(settings): own}
        self._embedder: Embedder = own
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._using: Spaces | None = None
        self._again_at_s = 0.0

    async def embed(self, text: str) -> Embedding:
        """The query's vectors, with the space they belong to."""
        spaces = await self._settled(await self._watch.current())
        embedder = self._embedder
        loop = asyncio.get_running_loop()
        (made,) = await loop.run_in_executor(self._threads, embedder.embed_with_tokens, [text])
        return replace(made, space=spaces.active)

    async def space(self) -> str:
        """The space that queries are embedded in now."""
        return (await self._settled(await self._watch.current())).active

    async def _settled(self, spaces: Spaces) -> Spaces:
        """The spaces to go by: the new ones once their models are here, the former ones while those are written."""
        if spaces == self._using:
            return spaces
        for space in spaces.written:
            self._begin_to_load(spaces, space)
        key = self._key(spaces, spaces.active)
        former = self._using
        if key not in self._embedders and (former is None or former.active not in spaces.written):
            await self._loading[key]
        if key in self._embedders:
            self._using, self._embedder = spaces, self._embedders[key]
        return self._using or spaces

    def _begin_to_load(self, spaces: Spaces, space: str) -> None:
        """Load a model that is not here, unless that has just failed; who waits for it gets the error."""
        key = self._key(spaces, space)
        failed = key in self._loading and self._loading[key].done()
        if key in self._embedders or (key in self._loading and not failed):
            return
        if failed and time.monotonic() < self._again_at_s:
            return
        self._again_at_s = time.monotonic() + AGAIN_S
        self._loading[key] = asyncio.create_task(self._load(key, spaces, space))
        self._loading[key].add_done_callback(_said)

    async def _load(self, key: str, spaces: Spaces, space: str) -> None:
        settings = settings_of(self._settings, spaces.model(space))
        self._embedders[key] = await asyncio.to_thread(build_embedder, settings)

    def _key(self, spaces: Spaces, space: str) -> str:
        return repr(settings_of(self._settings, spaces.model(space)))


def _said(loading: "asyncio.Task[None]") -> None:
    if not loading.cancelled() and (error := loading.exception()) is not None:
        log.error("a model cannot be loaded here, queries stay with the former one: %s", error)
