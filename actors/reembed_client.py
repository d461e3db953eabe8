"""Another embedding model for a deployment that runs: written beside the old one, compared, switched to, given up."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from actors.cluster import Cluster
from actors.settings import Settings
from actors.spaces import change_spaces, read_record, settings_of
from actors.wiring import allow_space, embedding_space
from memory.errors import BadSettings
from memory.filters import EVIDENCE
from memory.ids import SYSTEM, Scope
from memory.records import Embedding
from memory.spaces import MADE_WITH, Filled, FillPage, Model, Spaces, space_key, spaces_of
from memory.store_calls import Lane, ListUnits, SearchLanes
from memory.upkeep_calls import DroppedPage, DropVectors, GetEmbeddings

MODEL_SETTINGS = (
    *("embedder", "embedding_precision", "token_vectors"),
    *("embedding_base_url", "embedding_model", "embedding_dim"),
)
"""Settings that say which model makes vectors. Its key is no part of them: it stays in the environment."""
NEAREST = 10
"""What two models' answers are compared by."""
SCOPES = 256


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over sampled units: what share of the nearest by one model are among the nearest by the other, on average."""

    sampled: int
    share: float


class ReembedClient:
    """Changes which models' vectors are stored and asked for; the vectors are made by the owners of the banks."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._store = cluster.store
        self._settings = settings

    async def spaces(self) -> Spaces:
        """Which models are written, and which is asked."""
        return spaces_of(await read_record(self._store))

    async def find_model(self, wanted: Mapping[str, Any]) -> Model:
        """The model that these settings ask for, loaded here once, so that its files are there for everyone.

        Raises:
            BadSettings: they ask for none.
            ModelUnusable, RetryLater: it cannot be used.
        """
        try:
            settings = Settings(**{**dict.fromkeys(MODEL_SETTINGS[3:]), **wanted})
        except ValueError as exc:
            raise BadSettings(f"the new model: {exc}") from exc
        return await self._model(settings)

    async def begin(self, other: Model) -> Spaces:
        """Have new units get vectors of both models from now on; done again, it changes nothing.

        Raises:
            Conflict: a third model is written beside already, or somebody else has changed it at the same time.
            BadSettings: it is the model that the deployment uses.
        """
        before = await self.spaces()
        used = before.model(before.active) or await self._model(self._settings, MADE_WITH)
        if (used.embedder, used.dim) == (other.embedder, other.dim):
            raise BadSettings(f"{used.embedder} is the model that is used: its vectors are there")
        wanted = before.with_beside(used, other)
        if not self._settings.qdrant_url:
            space = embedding_space(settings_of(self._settings, other))
            await asyncio.to_thread(allow_space, self._settings.data, space)
        return await self.change(before, wanted)

    async def change(self, before: Spaces, wanted: Spaces) -> Spaces:
        """One compare-and-set; afterwards every host goes by it.

        Raises:
            Conflict: somebody else has changed it since.
            RetryLater: a host does not answer; it will go by it within a second of its return.
        """
        stands = before if wanted == before else await change_spaces(self._store, before, wanted)
        await self._cluster.follow_spaces()
        return stands

    async def unused(self, spaces: Spaces) -> list[str]:
        """Spaces that units have vectors of, and that are not written any more.

        Raises:
            RetryLater: the store does not answer.
        """
        return sorted(await self._store.stored_spaces() - set(spaces.written))

    async def drop_page(self, scope: Scope, page: DropVectors) -> DroppedPage:
        """Take vectors of a space that is not written any more from some of a bank's units.

        Raises:
            RetryLater: the store does not answer.
        """
        return await self._store.perform(scope, page)

    async def drop_space(self, space: str) -> None:
        """Give back the room that the vectors of a space took; done again, it changes nothing.

        Raises:
            RetryLater: the store does not answer.
        """
        await self._store.drop_space(space)

    async def banks(self) -> AsyncIterator[Scope]:
        """Every bank of every tenant that has units, deleted ones too."""
        start: str | None = None
        while True:
            page = await self._store.list_scopes(start, SCOPES)
            for scope in page.scopes:
                if scope != SYSTEM:
                    yield scope
            start = page.next
            if start is None:
                return

    async def fill(self, scope: Scope, page: FillPage) -> Filled:
        """Have a bank's owner embed what a page of it lacks.

        Raises:
            RetryLater: it does not answer.
            Conflict: that model is not written any more.
        """
        return await self._cluster.fill(scope, page)

    async def count_units(self, scope: Scope) -> int:
        """Live units of a bank."""
        return (await self._store.perform(scope, ListUnits(1))).total

    async def agreement(self, scope: Scope, spaces: Spaces, sample: int) -> Agreement:
        """For some units of a bank: how far the nearest by either model are the same ones."""
        old, new = spaces.active, spaces.beside.space
        total = (await self._store.perform(scope, ListUnits(1, where=EVIDENCE))).total
        shares: list[float] = []
        for number in range(min(sample, total)):
            page = await self._store.perform(scope, ListUnits(1, number * total // min(sample, total), EVIDENCE))
            found = await self._store.perform(scope, GetEmbeddings(tuple(unit.id for unit in page.units)))
            for made in found.values():
                by_space = {one.space: one for one in made.all}
                if old in by_space and new in by_space:
                    shares.append(await self._overlap(scope, by_space[old], by_space[new]))
        return Agreement(len(shares), sum(shares) / len(shares) if shares else 0.0)

    async def _overlap(self, scope: Scope, one: Embedding, other: Embedding) -> float:
        lanes = tuple(Lane(NEAREST, dense=made.dense, where=EVIDENCE, space=made.space) for made in (one, other))
        first, second = await self._store.perform(scope, SearchLanes(lanes))
        return len(set(first.ids) & set(second.ids)) / max(len(first.ids), 1)

    async def _model(self, settings: Settings, key: str | None = None) -> Model:
        space = await asyncio.to_thread(embedding_space, settings)
        own = space_key(space.embedder, space.dim) if key is None else key
        return Model(own, space.embedder, space.dim, _of_model(settings))


def _of_model(settings: Settings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in MODEL_SETTINGS}
