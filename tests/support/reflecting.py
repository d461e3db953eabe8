"""Reflections over a bank in this process: its real owner, a real store, recall, and a scripted model over HTTP."""

from typing import Any

from actors.client import BankClient
from actors.reader import Reader
from actors.reflecting import Reflector
from actors.refresh_stage import pending_refreshes
from actors.refreshing import Refresher
from actors.settings import Settings
from memory.model_budget import BudgetLimits
from memory.ports import ChatRequest, Completion
from memory.records import Embedding
from memory.reflecting.port import Answered, Question
from providers.llm_chat import LlmChat
from providers.model_access import AsyncModelAccess
from providers.openai_llm import ChatEndpoint, OpenAICompatibleModel
from providers.policy import RetryPolicy
from tests.support.bank_owner import Owner
from tests.support.builders import embedding
from tests.support.local_client import recalling_client
from tests.support.scripted_llm import ScriptedLlm


async def embed_query(text: str) -> Embedding:
    return embedding(text)


class ScriptedChat:
    """The real path to the model, made anew in each event loop; keeps what was asked."""

    def __init__(self, llm: ScriptedLlm, limits: BudgetLimits | None = None) -> None:
        self._llm = llm
        self._limits = limits or BudgetLimits()
        self.asked: list[ChatRequest] = []
        self._chat: LlmChat | None = None
        self.access: AsyncModelAccess | None = None

    async def ask(self, request: ChatRequest) -> Completion:
        if self._chat is None:
            self.access = AsyncModelAccess(self._limits)
            models = [OpenAICompatibleModel(ChatEndpoint(base_url=self._llm.url, model="scripted")) for _ in range(2)]
            retries = RetryPolicy(deadline_s=5.0, attempt_s=2.0, attempts=3, first_wait_s=0.01, longest_wait_s=0.02)
            self._chat = LlmChat(*models, self.access, retries)
        self.asked.append(request)
        return await self._chat.ask(request)


class ReflectingOwner(Owner):
    """A bank whose mental models are refreshed, and which can be reflected on."""

    def __init__(self, engine: Any, llm: ScriptedLlm | None = None, *, settings: Any = None, **ports: Any) -> None:
        self.settings = Settings(**(settings or {}))
        self.chat = ScriptedChat(llm) if llm is not None else None
        self._refresh: Any = None
        super().__init__(engine, refresh=self._made, **ports)
        self.reader = Reader(self.store, self.settings, embed_query)
        self.reflector = Reflector(self.store, self.reader.recall, self.chat, self.settings)
        self.refresher = Refresher(self.store, self.reflector, 10.0, with_model=llm is not None)

    async def _made(self, scope: Any, model: Any) -> Any:
        return await pending_refreshes(self.refresher)(scope, model)

    async def reflect(self, query: str, **given: Any) -> Answered:
        return await self.reflector.reflect(self.scope, Question(query, **given))


def reflecting_client(settings: Settings, llm: ScriptedLlm) -> BankClient:
    """A client over banks in this process, which reflects and refreshes with a scripted model."""
    refreshers: list[Refresher] = []

    async def refresh(scope: Any, model: Any) -> Any:
        return await pending_refreshes(refreshers[0])(scope, model)

    client = recalling_client(settings, refresh=refresh)
    reader = Reader(client._store, settings, embed_query)
    reflector = Reflector(client._store, reader.recall, ScriptedChat(llm), settings)
    refreshers.append(Refresher(client._store, reflector, 10.0, with_model=True))
    client.reflecting._reflector = reflector
    client.reflecting._with_model = True
    return client
