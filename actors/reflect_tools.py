"""The tools of a reflection over a bank: they read, stay within the question's tags and types, and write nothing."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from memory.document_reading import ReadDocument
from memory.encoding import encode_unit, instant_to_text
from memory.facts import is_expired
from memory.filters import AnyOf, Between, Filter, every, holds
from memory.ids import Scope
from memory.mental_models import MentalModel
from memory.model_search import search_models
from memory.neighbours import Near, around, most_in
from memory.recall import RecallAnswer, RecallQuery
from memory.records import Unit, UnitKind, UnitType
from memory.reflecting.port import MEMORY, MENTAL_MODEL, Piece, Question, ToolCall
from memory.reflecting.tools import EXPAND, READ_DOCUMENT, RECALL, SEARCH_MENTAL_MODELS, SEARCH_OBSERVATIONS
from memory.store_calls import FindLive, GetUnits, ListUnits, Store

RECALLED = 12
"""Units that one recall brings, and observations that one search does."""
RECALL_TOKENS = 4_000
MODELS_FOUND = 3
REACH = 2
"""Units that stand before and after an expanded one, each."""
DOCUMENT_CHUNKS = 40
"""Of a document that is read, from its beginning."""


class MemoryTools:
    """Answers the calls of one reflection."""

    def __init__(
        self,
        scope: Scope,
        question: Question,
        store: Store,
        recall: Callable[[Scope, RecallQuery], Awaitable[RecallAnswer]],
        models: Sequence[MentalModel],
        now: datetime,
    ) -> None:
        self._scope = scope
        self._question = question
        self._store = store
        self._recall = recall
        self._models = models
        self._now = now
        newer = Between("seq", gte=question.after_seq + 1) if question.after_seq else None
        self._where: Filter = every(question.where, newer)

    async def use(self, call: ToolCall) -> list[Piece]:
        """What a call finds, best first.

        Raises:
            RetryLater: the store does not answer.
            Unprocessable: there is no such tool.
        """
        if call.tool == SEARCH_MENTAL_MODELS:
            return await self._search_models(call.query)
        if call.tool == SEARCH_OBSERVATIONS:
            return await self._search(call.query, (UnitType.OBSERVATION,))
        if call.tool == RECALL:
            return await self._search(call.query, self._question.types)
        if call.tool == EXPAND:
            return await self._expand(call.ids)
        assert call.tool == READ_DOCUMENT
        return await self._read_document(call.ids[:1])

    async def _search(self, query: str, types: tuple[UnitType, ...]) -> list[Piece]:
        wanted = RecallQuery(
            query,
            types=types,
            budget=self._question.budget,
            max_tokens=RECALL_TOKENS,
            limit=RECALLED,
            where=self._where,
        )
        found = await self._recall(self._scope, wanted)
        pieces: list[Piece] = []
        for result in found.results:
            pieces.append(_piece(result.id, result.payload))
            pieces.extend(_piece(fact.id, fact.payload) for fact in result.facts)
        return pieces

    async def _search_models(self, query: str) -> list[Piece]:
        question = self._question
        excluded = set(question.excluded_mental_models)
        open_ = [
            model
            for model in self._models
            if model.content
            and model.id not in excluded
            and (not question.scoped or holds(question.where, model.id, {"tags": model.tags}))
        ]
        found = search_models(open_, query, MODELS_FOUND)
        cited = tuple({source.unit_id for model in found for source in model.sources})
        live = await self._store.perform(self._scope, FindLive(cited)) if cited else frozenset[str]()
        return [_model_piece(model) for model in found if all(source.unit_id in live for source in model.sources)]

    async def _expand(self, ids: Sequence[str]) -> list[Piece]:
        units = await self._units(ids)
        sources = tuple(
            dict.fromkeys(
                source.unit_id for unit in units if unit.kind is not UnitKind.CHUNK for source in unit.sources
            )
        )
        drawn = await self._units(sources)
        chunks = [unit for unit in (*units, *drawn) if unit.kind is UnitKind.CHUNK]
        spans = around(((unit.document_id, unit.position) for unit in chunks), REACH)
        beside: tuple[Unit, ...] = ()
        if spans:
            near = Near(spans, AnyOf("kind", (UnitKind.CHUNK.value,)), most_in(spans))
            page = await self._store.perform(self._scope, ListUnits(near.limit, where=near.matching))
            beside = page.units
        ordered = sorted(beside, key=lambda unit: (unit.document_id, unit.position))
        return self._allowed((*drawn, *ordered))

    async def _read_document(self, ids: Sequence[str]) -> list[Piece]:
        units = await self._units(ids)
        if not units or not units[0].document_id:
            return []
        found = await self._store.perform(self._scope, ReadDocument(units[0].document_id, (0, DOCUMENT_CHUNKS)))
        return self._allowed(found.chunks) if found is not None else []

    async def _units(self, ids: Sequence[str]) -> list[Unit]:
        found = await self._store.perform(self._scope, GetUnits(tuple(ids))) if ids else {}
        return [found[id_] for id_ in ids if id_ in found]

    def _allowed(self, units: Sequence[Unit]) -> list[Piece]:
        """Pieces of units within the question's tags and types that are not past their time, each once."""
        types = self._question.types
        shown = (unit for unit in units if not is_expired(unit, self._now))
        unique = {unit.id: unit for unit in shown if not types or unit.type in types}
        rows = ((unit_id, encode_unit(unit)) for unit_id, unit in unique.items())
        return [_piece(unit_id, row) for unit_id, row in rows if holds(self._where, unit_id, row)]


def _piece(unit_id: str, payload: Mapping[str, Any]) -> Piece:
    return Piece(unit_id, MEMORY, str(payload["text"]), int(payload.get("text_tokens", 0)), payload)


def _model_piece(model: MentalModel) -> Piece:
    row = {
        "name": model.name,
        "as_of": instant_to_text(model.refreshed_at) if model.refreshed_at else None,
        "sources": [[source.unit_id, source.seq, source.content_hash] for source in model.sources],
    }
    return Piece(model.id, MENTAL_MODEL, model.content, len(model.content) // 4 + 1, row)
