"""A Bank whose documents are extracted and whose facts are consolidated, by rules or by a scripted model."""

from collections.abc import Sequence
from typing import Any

from actors.bank_ports import Consolidation
from actors.consolidating import ModelConsolidator, RuleConsolidator
from memory.bank_profile import OBSERVING
from memory.commands import Message
from memory.extraction.candidates import CandidateFact, Category
from memory.extraction.port import Extracted, SourceTurn, WindowFact, WindowOutcome, WindowRequest
from memory.extraction.rules_extractor import RulesExtractor
from memory.records import Record, RecordKind, Unit, UnitKind, UnitType
from memory.store_calls import GetRecords, ListRecords, ListUnits
from tests.support.clocks import nonces
from tests.support.extracting import ExtractingOwner
from tests.support.reflecting import ScriptedChat
from tests.support.scripted_llm import ScriptedLlm


def by_ana(*texts: str) -> tuple[Message, ...]:
    """Turns of somebody with a name, so that rules find whom they speak of."""
    return tuple(Message(text, role="user", name="Ana") for text in texts)


class ConsolidatingOwner(ExtractingOwner):
    """An owner that extracts and consolidates; `facts` at once."""

    def __init__(self, engine: Any, llm: ScriptedLlm | None = None, *, facts: int = 256, **given: Any) -> None:
        self.settings: dict[str, Any] = {OBSERVING: True}
        self.chat = ScriptedChat(llm) if llm is not None else None
        self.batches: list[Any] = []
        port = Consolidation(self._decide, facts, with_model=llm is not None)
        super().__init__(engine, consolidation=port, inherited=lambda _: self.settings, **given)
        self.rules = RuleConsolidator(self.store, self.clock)
        made = nonces("made")
        if self.chat is not None:
            self.model = ModelConsolidator(self.store, self.chat, self._embed, self.clock, made, 5.0)

    async def _decide(self, scope: Any, batch: Any) -> Any:
        self.batches.append(batch)
        return await (self.model if self.chat is not None else self.rules).decide(scope, batch)

    async def settle(self) -> None:
        """Let time go by until the bank is due, and what is due be done."""
        self.clock.pass_by(3600)
        await self.bank.settle()
        await self.bank.stages.rest()
        await self.bank.consolidations.rest()

    def observations(self) -> dict[str, Unit]:
        """Live observations by text."""
        return {text: unit for text, unit in self.units().items() if unit.kind is UnitKind.OBSERVATION}

    def listed(self) -> list[Unit]:
        """Live observations, of which some may have one text."""
        return [unit for unit in self.read(ListUnits(1000)).units if unit.kind is UnitKind.OBSERVATION]

    def evidence(self) -> dict[str, set[str]]:
        """For each observation the texts of the facts that it rests on."""
        by_id = {unit.id: unit.text for unit in self.read(ListUnits(1000)).units}
        return {unit.text: {by_id[source.unit_id] for source in unit.sources} for unit in self.listed()}

    def history(self, unit_id: str) -> Record | None:
        return self.read(GetRecords(RecordKind.OBSERVATION, (unit_id,))).get(unit_id)

    def queue(self, status: str = "pending") -> list[Record]:
        return list(self.read(ListRecords(RecordKind.REDERIVE, 100, status=status)).records)


class VerbatimExtractor(RulesExtractor):
    """Each turn is one fact in its own words, about tea: so that any text becomes something to consolidate."""

    async def extract(self, requests: Sequence[WindowRequest]) -> list[WindowOutcome]:
        return [
            Extracted(request.window, tuple(map(_told, range(len(request.turns)), request.turns)), "verbatim")
            for request in requests
        ]


def _told(number: int, turn: SourceTurn) -> WindowFact:
    fact = CandidateFact(turn.text, turn.text, UnitType.WORLD, Category.EVENT, 1.0, 0, "tea", mentions=("tea",))
    return WindowFact(fact, (number,), (("tea", "concept"),))
