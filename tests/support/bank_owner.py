"""A Bank over an engine in this process, with what tests look at."""

from collections.abc import Callable, Sequence
from typing import Any

from actors.bank import Bank
from memory.commands import Message
from memory.query import understand
from memory.recall import RecallQuery, answer, plan_candidates
from memory.store_calls import ListUnits
from storage.run import run
from tests.support.bank_process import bank_ports, embed
from tests.support.bank_state import check_bank, read_bank
from tests.support.builders import embedding, fresh_scope, retain
from tests.support.clocks import FakeClock
from tests.support.deriving import DerivingBank
from tests.support.local_store import FaultyEngine, LocalStore


def user(*texts: str) -> tuple[Message, ...]:
    return tuple(Message(text, role="user") for text in texts)


class Owner:
    """A bank with what tests look at: its engine, and the texts it had embedded."""

    def __init__(self, engine: Any, *, mailbox: int = 64, embedder: Callable[..., Any] = embed, **ports: Any) -> None:
        self.engine = FaultyEngine(engine)
        self.scope = fresh_scope()
        self.store = LocalStore(self.engine)
        self.embedded: list[str] = []
        self.embedder = embedder
        self.clock = FakeClock()
        self.ports = ports
        self.bank = self.another("n", mailbox)

    def another(self, name: str = "m", mailbox: int = 64) -> Bank:
        """A further owner of the same bank."""
        ports = bank_ports(self.store, name, **{"embed": self._embed, "clock": self.clock, **self.ports})
        return DerivingBank(self.scope, ports, mailbox)

    async def _embed(self, texts: Sequence[str]):
        self.embedded.extend(texts)
        return await self.embedder(texts)

    async def retain(self, *contents, **fields):
        return await self.bank.perform(retain(*contents, **fields))

    def read(self, call):
        return self.engine.call(self.scope, call)

    def units(self) -> dict[str, Any]:
        return {unit.text: unit for unit in self.read(ListUnits(1000)).units}

    def recall(self, query: str) -> list[str]:
        wanted, understood = RecallQuery(query), understand(query, ())
        candidates = run(
            self.engine, self.scope, plan_candidates(wanted, understood, embedding(query), now=self.clock.now())
        )
        return [result.payload["text"] for result in answer(wanted, understood, candidates).results]

    def shown_facts(self, query: str) -> set[str]:
        """Texts of the facts that recall shows with its results."""
        wanted, understood = RecallQuery(query), understand(query, ())
        asked = plan_candidates(wanted, understood, embedding(query), now=self.clock.now())
        results = answer(wanted, understood, run(self.engine, self.scope, asked)).results
        return {fact.payload["text"] for result in results for fact in result.facts}

    def text(self, document_id: str = "d") -> str:
        return read_bank(self.engine, self.scope).texts[document_id]

    def check(self) -> None:
        check_bank(self.engine, self.scope)
