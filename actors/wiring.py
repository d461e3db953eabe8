"""Composition root: settings -> ports. The only file that imports storage and providers."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from actors.settings import Settings
from memory.errors import BadSettings, StoreDamaged
from memory.extraction.port import Extractor
from memory.extraction.rules_extractor import RulesExtractor
from memory.ids import Scope
from memory.ports import Chat, Embedder, Tokenizer
from memory.store_calls import Request
from providers import factory as providers
from providers.minilm import load_minilm_tokenizer
from providers.model_access import AsyncModelAccess, utc_today
from storage.backup import begin_backup, finish_backup, remove_unfinished, restore_backup, shard_paths
from storage.damage import read_reports
from storage.directory import Space, allow_space, current_card, prepare_directory, read_card, shard_path
from storage.edge_store import EdgeStore
from storage.grace import GracefulEngine, ReadGrace
from storage.probe import open_store, probe
from storage.run import run
from storage.upgrade import upgrade

__all__ = [
    "AsyncModelAccess",
    "ShardEngine",
    "ShardRuns",
    "allow_space",
    "begin_backup",
    "build_embedder",
    "build_extractor",
    "build_language_model",
    "build_llm_chat",
    "build_llm_extractor",
    "build_reranker",
    "build_tokenizer",
    "connect_server",
    "copy_closed",
    "embedding_space",
    "find_damage",
    "finish_backup",
    "open_shard",
    "prepare_data",
    "remove_unfinished",
    "restore_backup",
    "run",
    "shard_names",
    "stored_space",
    "utc_today",
]

if TYPE_CHECKING:
    from providers.http_reranker import HttpReranker
    from providers.openai_llm import OpenAICompatibleModel
    from providers.policy import RetryPolicy
    from storage.server_store import ServerStore

T = TypeVar("T")

LOCK_TIMEOUT_S = 15.0

ShardEngine = EdgeStore
"""The engine of a storage shard's directory: calls that block, and what keeps them lasting and quick."""


def build_embedder(settings: Settings) -> Embedder:
    """The embedder of a deployment; loads the model."""
    return providers.build_embedder(_provider_settings(settings))


def build_tokenizer() -> Tokenizer:
    """The tokenizer of token budgets: one for all embedders."""
    return load_minilm_tokenizer()


def build_extractor() -> Extractor:
    """Who finds facts in what is retained, as one process runs it."""
    return RulesExtractor()


def embedding_space(settings: Settings) -> Space:
    """Name and dimension of the vectors that the settings give; asks the endpoint where only it knows.

    Raises:
        ModelUnusable: the model cannot be used.
        RetryLater: the endpoint does not answer.
    """
    embedder = build_embedder(settings)
    dim = settings.embedding_dim or int(embedder.embed(["How long are your vectors?"]).shape[1])
    return Space(embedder.name, dim)


def build_language_model(settings: Settings) -> "OpenAICompatibleModel":
    """The language model of the settings; nothing is sent yet. To be used from one event loop.

    Raises:
        BadSettings: there is none, or its address or key cannot be used.
    """
    # Its client takes long to import: only what talks to a model has it.
    from providers.openai_llm import ChatEndpoint, OpenAICompatibleModel  # noqa: PLC0415 - only where it is used

    if not settings.llm_base_url:
        raise BadSettings("LOREBANK_LLM_BASE_URL is not set")
    key = settings.llm_api_key
    return OpenAICompatibleModel(
        ChatEndpoint(
            base_url=settings.llm_base_url,
            model=settings.llm_model or "",
            api_key=key.get_secret_value() if key else "",
            connections=2 * settings.llm_calls_at_once,
            temperature=settings.llm_temperature,
        )
    )


def build_llm_extractor(settings: Settings, access: AsyncModelAccess) -> Extractor:
    """What finds facts with the language model, its calls let through one by one.

    Raises:
        BadSettings: as `build_language_model`.
    """
    from providers.llm_extractor import ExtractionLimits, LlmExtractor  # noqa: PLC0415 - only where it is used

    limits = ExtractionLimits(
        call_tokens=settings.llm_call_tokens,
        call_windows=settings.llm_call_windows,
        max_output_tokens=settings.llm_max_output_tokens,
        retries=_llm_retries(settings, 0.5, 10.0),
    )
    return LlmExtractor(build_language_model(settings), access, limits)


def build_reranker(settings: Settings) -> "HttpReranker | None":
    """The cross-encoder of the settings, from one event loop; None where there is none.

    Raises:
        BadSettings: its address, model or key cannot be used.
    """
    if not settings.reranker_url:
        return None
    from providers.http_reranker import HttpReranker, RerankEndpoint  # noqa: PLC0415 - only where it is used

    key = settings.reranker_api_key
    return HttpReranker(
        RerankEndpoint(
            base_url=settings.reranker_url,
            style=settings.reranker_style,
            model=settings.reranker_model or "",
            api_key=key.get_secret_value() if key else "",
        )
    )


def build_llm_chat(settings: Settings, access: AsyncModelAccess) -> Chat:
    """What asks the language model for reflections, its calls let through one by one.

    Raises:
        BadSettings: as `build_language_model`.
    """
    from providers.llm_chat import LlmChat  # noqa: PLC0415 - only where it is used

    retries = _llm_retries(settings, 0.25, 5.0)
    return LlmChat(build_language_model(settings), build_language_model(settings), access, retries)


def _llm_retries(settings: Settings, first_wait_s: float, longest_wait_s: float) -> "RetryPolicy":
    from providers.policy import RetryPolicy  # noqa: PLC0415 - only where it is used

    return RetryPolicy(
        deadline_s=settings.llm_deadline_s,
        attempt_s=settings.llm_call_s,
        attempts=settings.llm_attempts,
        first_wait_s=first_wait_s,
        longest_wait_s=longest_wait_s,
    )


def prepare_data(settings: Settings, space: Space) -> Space:
    """Make, check or upgrade the data directory; the vector space it was made with."""
    card = upgrade(settings.data, prepare_directory(settings.data, settings.storage_shards, space), LOCK_TIMEOUT_S)
    return Space(card.embedder, card.dim)


def stored_space(data: Path) -> tuple[int, Space]:
    """Number of shards and vector space of a data directory that is there, of today's schema version.

    Raises:
        BadSettings, SchemaMismatch, StoreDamaged: it is none, or cannot be read; says what to do.
    """
    card = current_card(data)
    return card.storage_shards, Space(card.embedder, card.dim)


def open_shard(settings: Settings, index: int, space: Space, *, again: bool = False) -> ShardEngine:
    """Open one storage shard's directory; `again`: in place of a process that ended without closing it.

    Raises:
        StoreLocked: another process holds it.
        StoreDamaged: its files cannot be read.
    """
    path, least = shard_path(settings.data, index), settings.index_units
    return open_store(path, space.dim, LOCK_TIMEOUT_S, again=again, index_units=least)


def copy_closed(data: Path) -> Callable[[str, Path], dict[str, int]]:
    """What copies one storage shard, by name, of a directory that no server has open."""
    card = read_card(data)

    def copy(name: str, target: Path) -> dict[str, int]:
        store = open_store(data / name, card.dim, LOCK_TIMEOUT_S, again=False)
        try:
            return store.copy_to(target)
        finally:
            store.close()

    return copy


def shard_names(data: Path) -> list[str]:
    """Names of a data directory's storage shards.

    Raises:
        BadSettings, SchemaMismatch, StoreDamaged: it is none, or its card cannot be read.
    """
    return list(shard_paths(data, read_card(data)))


def find_damage(data: Path) -> list[str]:
    """Sentences on what is wrong with a directory that no server has open: what cannot be loaded, what was lost."""
    card = read_card(data)
    said = []
    for path in filter(Path.exists, shard_paths(data, card).values()):
        problem = probe(path, card.dim, LOCK_TIMEOUT_S)
        if problem:
            raise StoreDamaged(problem)
        said += [f"{path} on {one.found_at}: {line}" for one in read_reports(path) for line in one.sentences()]
    return said


class ShardRuns:
    """Runs requests over a blocking engine: reads in any number of threads, writes in one."""

    def __init__(self, engine: ShardEngine) -> None:
        self._grace = ReadGrace()
        self._reading = engine
        self._writing = GracefulEngine(engine, self._grace)

    def read(self, scope: Scope, request: Request[T]) -> T:
        """Run a call or a procedure that reads."""
        with self._grace.reading(), self._reading.reading():
            return run(self._reading, scope, request)

    def write(self, scope: Scope, request: Request[T], between: Callable[[], None]) -> T:
        """Run a procedure that writes, `between` between its calls.

        What it retires stays until the reads under way have ended.
        """
        return run(self._writing, scope, request, between)


def connect_server(settings: Settings, space: Space) -> "ServerStore":
    """The store on the Qdrant server of the settings; nothing is sent yet, and all of it from the loop that is first.

    Raises:
        BadSettings: there is no address of a server.
    """
    # Its models take long to import, and much memory: only what talks to a server has them.
    from storage.server_client import ServerSettings  # noqa: PLC0415 - only where it is used
    from storage.server_store import ServerStore  # noqa: PLC0415 - only where it is used

    if not settings.qdrant_url:
        raise BadSettings("LOREBANK_QDRANT_URL is not set")
    key = settings.qdrant_api_key
    server = ServerSettings(
        url=settings.qdrant_url,
        api_key=key.get_secret_value() if key else "",
        prefix=settings.qdrant_prefix,
        replication_factor=settings.qdrant_replication_factor,
        write_consistency_factor=settings.qdrant_write_consistency_factor,
        shards_per_key=settings.qdrant_shards_per_key,
        read_consistency=settings.qdrant_read_consistency,
        timeout_s=settings.request_timeout_s,
    )
    return ServerStore(server, space)


def _provider_settings(settings: Settings) -> providers.ProviderSettings:
    key = settings.embedding_api_key
    return providers.ProviderSettings(
        embedder=settings.embedder,
        precision=settings.embedding_precision,
        cache_dir=settings.cache / "models",
        token_vectors=settings.token_vectors,
        embedding_base_url=settings.embedding_base_url or "",
        embedding_api_key=key.get_secret_value() if key else "",
        embedding_model=settings.embedding_model or "",
        embedding_dim=settings.embedding_dim,
    )
