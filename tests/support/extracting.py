"""A Bank whose documents pass the real stage EXTRACT, by rules."""

from collections.abc import Sequence
from typing import Any

from actors.extraction import ExtractStage
from memory.commands import ListEntities
from memory.extraction.port import WindowOutcome, WindowRequest
from memory.extraction.rules_extractor import RulesExtractor, read_window
from memory.facts import EXTRACT
from memory.known_facts import ReadFacts
from memory.policy import BankPolicy
from memory.records import RecordKind, Unit
from memory.store_calls import ListRecords
from storage.run import run
from tests.support.bank_owner import Owner

DEBOUNCE_S = 60.0


class CountingExtractor(RulesExtractor):
    """Rules that remember what they were asked for."""

    def __init__(self) -> None:
        self.asked: list[WindowRequest] = []

    async def extract(self, requests: Sequence[WindowRequest]) -> list[WindowOutcome]:
        self.asked.extend(requests)
        return [read_window(request) for request in requests]


class ExtractingOwner(Owner):
    """An owner that extracts; `extractor` knows what was asked."""

    def __init__(self, engine: Any, extractor: Any = None, **ports: Any) -> None:
        self.extractor = extractor or CountingExtractor()
        stages: dict[str, Any] = {}
        policy = BankPolicy(stages=(EXTRACT,), session_debounce_s=DEBOUNCE_S)
        super().__init__(engine, policy=policy, stages=stages, **ports)
        stages[EXTRACT] = ExtractStage(self.store, self.extractor)

    async def tell(self, *contents: Any, **fields: Any) -> Any:
        """Retain, and wait until facts were found."""
        receipt = await self.retain(*contents, **fields)
        await self.bank.stages.rest()
        return receipt

    def facts(self) -> dict[str, Unit]:
        """Live facts by text."""
        return {unit.text: unit for unit in run(self.engine, self.scope, ReadFacts())}

    async def entities(self) -> dict[str, int]:
        """In how many facts each entity is, by its name."""
        page: Any = await self.bank.perform(ListEntities(1000))
        return {entity.name: entity.facts for entity in page.entities}

    def holding(self) -> set[str]:
        """Texts of the facts that no later one has closed."""
        return {text for text, unit in self.facts().items() if unit.superseded_by is None}

    def answers(self) -> set[str]:
        """Hashes of the windows that an answer is stored for."""
        page = self.read(ListRecords(RecordKind.WINDOW, 1000))
        return {record.key for record in page.records if record.status != "removed"}
