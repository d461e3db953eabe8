"""What a host makes its banks' mental models with: recall over the host's own embedding workers, and the model."""

from actors.bank_ports import RefreshFunction
from actors.language_model import RemoteChat
from actors.query_embedding import EmbedQuery
from actors.reader import Reader
from actors.reflecting import Reflector
from actors.refreshing import Refresher, RefreshFailedError
from actors.settings import Settings
from actors.stores import DeploymentStore
from memory.errors import RetryLater
from memory.ids import Scope
from memory.mental_models import MentalModel
from memory.reflect_commands import NotRefreshed, Refreshed
from memory.store_calls import Store


def refresher_of(settings: Settings, store: Store, reader: Reader) -> Refresher:
    """A refresher over a process's store and recall; with the language model, where there is one."""
    chat = RemoteChat() if settings.llm_base_url else None
    reflector = Reflector(store, reader.recall, chat, settings)
    return Refresher(store, reflector, settings.refresh_deadline_s, with_model=chat is not None)


def refresh_function(settings: Settings, store: DeploymentStore, embed: EmbedQuery) -> RefreshFunction:
    """The port by which banks have their mental models' contents made."""
    return pending_refreshes(refresher_of(settings, store, Reader(store, settings, embed)))


def pending_refreshes(refresher: Refresher) -> RefreshFunction:
    """Makes what is pending at a model."""

    async def refresh(scope: Scope, model: MentalModel) -> Refreshed | NotRefreshed:
        assert model.pending is not None
        try:
            run = await refresher.refresh(scope, model, model.pending.mode)
        except RefreshFailedError as exc:
            return NotRefreshed(str(exc), exc.tokens)
        except RetryLater as exc:
            return NotRefreshed(str(exc))
        return run.result

    return refresh
