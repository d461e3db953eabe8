"""What callers ask of directives, mental models and reflections."""

from collections.abc import AsyncIterator

from actors.cluster import Cluster
from actors.language_model import RemoteChat
from actors.page_client import PageClient
from actors.reader import Reader
from actors.reflecting import Progress, Reflector
from actors.reflection_client import ReflectionClient
from actors.refresh_stage import refresher_of
from actors.refreshing import Refresher, RefreshFailedError, RefreshRun
from actors.settings import Settings
from memory.directives import MAX_DIRECTIVES, Directive, decode_directive, in_order
from memory.errors import NotFound, Unavailable
from memory.ids import Scope
from memory.mental_models import MAX_MODELS, MentalModel, RefreshMode, decode_model
from memory.records import Record, RecordKind
from memory.reflect_commands import DirectiveCommand, ModelCommand
from memory.reflecting.port import Answered, Question
from memory.store_calls import Batch, FindLive, GetRecords, ListRecords, ListUnits, Store, UnitPage


class ReflectClient:
    """Part of the door to the actors: BankClient.reflecting. Raises what BankClient's methods raise."""

    def __init__(self, cluster: Cluster, reader: Reader, settings: Settings) -> None:
        self._cluster = cluster
        self._store: Store = cluster.store
        chat = RemoteChat() if settings.llm_base_url else None
        self._reflector = Reflector(cluster.store, reader.recall, chat, settings)
        self._refresher: Refresher = refresher_of(settings, cluster.store, reader)
        self._with_model = chat is not None
        self.stored = ReflectionClient(cluster, reader)
        self.pages = PageClient(cluster)

    @property
    def with_model(self) -> bool:
        """Whether a language model writes answers."""
        return self._with_model

    def watch(self, scope: Scope, question: Question) -> AsyncIterator[Progress | Answered]:
        """A reflection as it goes on; its answer comes last.

        Raises:
            Unprocessable: the question's schema cannot be used.
        """
        return self._reflector.watch(scope, question)

    async def put_directive(self, scope: Scope, command: DirectiveCommand) -> Directive:
        """Create or change a directive.

        Raises:
            NotFound: there is none of that id.
            Conflict: the bank has too many.
        """
        directive: Directive = await self._cluster.command(scope, command)
        return directive

    async def delete_directive(self, scope: Scope, command: DirectiveCommand) -> None:
        """Remove a directive.

        Raises:
            NotFound: there is none of that id.
        """
        await self._cluster.command(scope, command)

    async def list_directives(self, scope: Scope) -> tuple[Directive, ...]:
        """All directives of a bank, highest priority first."""
        page = await self._store.perform(scope, ListRecords(RecordKind.DIRECTIVE, MAX_DIRECTIVES))
        return in_order([decode_directive(record) for record in page.records])

    async def get_directive(self, scope: Scope, directive_id: str) -> Directive:
        """One directive.

        Raises:
            NotFound: there is none of that id.
        """
        found = await self._store.perform(scope, GetRecords(RecordKind.DIRECTIVE, (directive_id,)))
        if directive_id not in found:
            raise NotFound(f"bank {scope.bank!r} has no directive {directive_id!r}")
        return decode_directive(found[directive_id])

    async def change_model(self, scope: Scope, command: ModelCommand) -> MentalModel:
        """Put, clear or ask for a refresh of a mental model; as it is after that.

        Raises:
            NotFound: there is none of that id.
            Conflict: there is one already, or too many.
        """
        model: MentalModel = await self._cluster.command(scope, command)
        return model

    async def delete_model(self, scope: Scope, command: ModelCommand) -> None:
        """Remove a mental model with its history.

        Raises:
            NotFound: there is none of that id.
        """
        await self._cluster.command(scope, command)

    async def list_models(self, scope: Scope) -> tuple[MentalModel, ...]:
        """All mental models of a bank, newest first."""
        page = await self._store.perform(scope, ListRecords(RecordKind.MENTAL_MODEL, MAX_MODELS))
        return tuple(decode_model(record) for record in page.records)

    async def get_model(self, scope: Scope, model_id: str) -> MentalModel:
        """One mental model.

        Raises:
            NotFound: there is none of that id.
        """
        found = await self._store.perform(scope, GetRecords(RecordKind.MENTAL_MODEL, (model_id,)))
        if model_id not in found:
            raise NotFound(f"bank {scope.bank!r} has no mental model {model_id!r}")
        return decode_model(found[model_id])

    async def list_versions(self, scope: Scope, model_id: str) -> tuple[Record, ...]:
        """Earlier contents of a mental model, the latest first."""
        page = await self._store.perform(scope, ListRecords(RecordKind.MODEL_VERSION, 1000, 0, model_id))
        return page.records

    async def find_stale(self, scope: Scope, models: tuple[MentalModel, ...]) -> dict[str, bool]:
        """By id, whether the evidence of each has moved since its content was made."""
        newer: Batch[UnitPage] = Batch(tuple(ListUnits(1, where=model.moved()) for model in models))
        pages = await self._store.perform(scope, newer) if models else []
        cited = {model.id: {source.unit_id for source in model.sources} for model in models}
        every = tuple(set[str]().union(*cited.values()))
        live = await self._store.perform(scope, FindLive(every)) if every else frozenset[str]()
        return {
            model.id: model.lost
            or page.total > 0
            or not cited[model.id] <= live
            or model.answered != model.source_query
            for model, page in zip(models, pages, strict=True)
        }

    async def preview_refresh(self, scope: Scope, model: MentalModel, mode: RefreshMode) -> RefreshRun:
        """What a refresh would make; nothing is written.

        Raises:
            Unavailable: the language model does not answer.
        """
        try:
            return await self._refresher.refresh(scope, model, mode)
        except RefreshFailedError as exc:
            raise Unavailable(str(exc), 5.0) from exc
