"""The deployment's vector spaces in one process: read from the store again and again, and what embeds for each."""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import inf

from actors.settings import Settings
from actors.tasks import embed_texts
from memory.addresses import LOTS, is_same
from memory.errors import Conflict, LorebankError, RetryLater
from memory.ids import SYSTEM, Scope
from memory.ingest import unit_dense_text, unit_vectors
from memory.records import Embedding, Record, RecordKind
from memory.spaces import SPACES_KEY, Filled, FillPage, Model, Spaces, next_spaces, spaces_of
from memory.store_calls import GetRecords, Store, WriteRecords
from memory.upkeep_calls import AddVectors, FindUnembedded, UnembeddedPage

EmbedTexts = Callable[[Settings, list[str]], Awaitable[list[Embedding]]]

LOOK_S = 1.0
"""How old what is known may be."""
BESIDE_S = 10.0

log = logging.getLogger("lorebank.spaces")


class SpacesWatch:
    """What the store says, at most LOOK_S old; as it was last while the store does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = Spaces()
        self._read_at_s = -inf
        self._reading = asyncio.Lock()

    async def current(self) -> Spaces:
        """The spaces, and which of them is asked."""
        if time.monotonic() - self._read_at_s >= LOOK_S:
            async with self._reading:
                if time.monotonic() - self._read_at_s >= LOOK_S:
                    await self._look()
        return self._known

    async def _look(self) -> None:
        try:
            await self.refresh()
        except RetryLater:
            if self._read_at_s < 0:
                raise  # nothing is known yet, and to guess would write vectors of the wrong model
            self._read_at_s = time.monotonic()

    async def refresh(self) -> Spaces:
        """What the store says now.

        Raises:
            RetryLater: it does not answer.
        """
        self._known = spaces_of(await read_record(self._store))
        self._read_at_s = time.monotonic()
        return self._known

    async def active(self) -> str:
        """Key of the space that is asked."""
        return (await self.current()).active

    async def written(self) -> tuple[str, ...]:
        """Keys of the spaces that a new unit has vectors of."""
        return (await self.current()).written


async def read_record(store: Store) -> Record | None:
    """The record of spaces, if there is one."""
    return (await store.perform(SYSTEM, GetRecords(RecordKind.SPACES, (SPACES_KEY,)))).get(SPACES_KEY)


async def change_spaces(store: Store, before: Spaces, wanted: Spaces) -> Spaces:
    """One compare-and-set of the record; what stands then.

    Raises:
        Conflict: somebody else has changed it since `before` was read.
    """
    written = next_spaces(before, wanted, 1 + secrets.randbelow(LOTS - 1))
    await store.perform(SYSTEM, WriteRecords((written,)))
    found = await read_record(store)
    if not is_same(found, written):
        raise Conflict("the vector spaces were changed by somebody else at the same time: look again and repeat")
    return spaces_of(found)


def settings_of(settings: Settings, model: Model | None) -> Settings:
    """The deployment's settings with those of a model in their place."""
    return settings if model is None else settings.model_copy(update=dict(model.settings))


async def embed_in(
    settings: Settings, spaces: Spaces, texts: list[str], embed: EmbedTexts = embed_texts
) -> list[Embedding]:
    """What each model that is written makes of each text: the active one's first, the others beside it.

    A model that nobody asks must hold no write up: where it fails, or takes longer than BESIDE_S, its vectors are left
    out, and the next pass of the job adds them.

    Raises:
        RetryLater, LorebankError: as embed_texts, of the model that is asked.
    """

    async def beside(space: str) -> list[Embedding] | None:
        try:
            async with asyncio.timeout(BESIDE_S):
                return await embed(settings_of(settings, spaces.model(space)), texts)
        except (LorebankError, TimeoutError) as exc:
            log.warning("vectors of the space %s are left out for now: %s", space or "made with", exc)
            return None

    active, *others = spaces.written
    made, *more = await asyncio.gather(
        embed(settings_of(settings, spaces.model(active)), texts), *(beside(space) for space in others)
    )
    named = [[replace(one, space=space) for one in each] for space, each in zip(others, more, strict=True) if each]
    return [
        replace(one, space=active, also=tuple(each[place] for each in named)) for place, one in enumerate(made or ())
    ]


async def fill_page(
    store: Store, settings: Settings, spaces: Spaces, scope: Scope, page: FillPage, embed: EmbedTexts = embed_texts
) -> Filled:
    """Embed what a page of a bank lacks, and add it. Left anywhere, it is done by the next that comes by.

    Raises:
        Conflict: vectors of that space are not written any more.
    """
    model = spaces.model(page.space)
    if model is None:
        raise Conflict("vectors of that model are not written any more")
    found: UnembeddedPage = await store.perform(scope, FindUnembedded(page.space, page.limit, page.start))
    if found.units:
        texts = [unit_dense_text(unit) for unit in found.units]
        made = await embed(settings_of(settings, model), texts)
        vectors = {}
        for unit, one in zip(found.units, made, strict=True):
            kept = unit_vectors(unit, one)
            vectors[unit.id] = Embedding(kept.dense, kept.tokens, page.space)
        await store.perform(scope, AddVectors(vectors))
    return Filled(found.looked_at, len(found.units), found.following)
