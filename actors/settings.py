"""Every setting of a deployment: default, unit, range, environment name. The only reader of the environment.

A setting `x_y` is read from a keyword, then `LOREBANK_X_Y`, then `lorebank.toml` in the working directory.
"""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from memory.bank_profile import OBSERVING, check_settings
from memory.errors import BadSettings
from memory.ports import EmbedderKind
from memory.sweeping import Retention

Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]

NAMESPACE = "lorebank"
"""Ray namespace of all actors of a deployment."""


class Settings(BaseSettings):
    """Settings of one deployment, validated together; picklable, handed to every actor at its start."""

    model_config = SettingsConfigDict(env_prefix="LOREBANK_", toml_file="lorebank.toml", extra="ignore", frozen=True)

    # Where it listens and stores
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    data: Path = Path("lorebank-data")
    qdrant_url: str | None = None
    qdrant_api_key: SecretStr | None = None
    qdrant_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$")] = "lorebank"
    """First part of the collections' names on a Qdrant server."""
    qdrant_replication_factor: Annotated[int, Field(ge=1, le=16)] = 1
    qdrant_write_consistency_factor: Count | None = None
    """Replicas that must confirm a write; absent: a majority."""
    qdrant_read_consistency: Literal["majority", "quorum", "all"] | Count = "majority"
    qdrant_shards_per_key: Annotated[int, Field(ge=1, le=16)] = 1
    durability: Literal["process", "disk"] = "process"
    flush_interval_s: Seconds = 1.0
    flush_bytes: Count = 4 << 20
    engine_flush_interval_s: Seconds = 30.0
    read_ahead_bytes: Annotated[int, Field(ge=0)] = 4 << 30
    """Of each storage shard's files, read into memory once it is open; at most half of what is available."""
    index_units: Annotated[int, Field(ge=0)] = 20_000
    """Banks of the embedded store with at least so many units are searched by an index of their own; 0: none are."""

    embedded_on_head: bool = False
    """On a cluster of several nodes: keep the embedded store on the head node's disk instead of refusing to start."""

    # How many of each part
    storage_shards: Annotated[int, Field(ge=1, le=64)] = 1
    bank_hosts: Annotated[int, Field(ge=1, le=1024)] = max(1, (os.cpu_count() or 1) // 2)
    replicas: Annotated[int, Field(ge=1)] = 2
    embed_workers: Count = max(1, os.cpu_count() or 1)

    # Models
    embedder: EmbedderKind = "minilm"
    embedding_precision: Literal["int8", "fp32"] = "int8"
    token_vectors: bool = True
    """Store what late interaction compares, 1.4 KB a unit, and rank by it; MiniLM only."""
    embedding_base_url: str | None = None
    embedding_api_key: SecretStr | None = None
    embedding_model: str | None = None
    embedding_dim: Count | None = None
    cache: Path = Path.home() / ".cache" / "lorebank"

    # A cross-encoder beside recall
    reranker_url: str | None = None
    """Base URL of a rerank service; absent: recall asks none."""
    reranker_style: Literal["tei", "cohere"] = "tei"
    reranker_model: str | None = None
    reranker_api_key: SecretStr | None = None
    reranker_candidates: Annotated[int, Field(ge=2, le=200)] = 32
    """The best so many are scored by it."""
    reranker_timeout_ms: Annotated[float, Field(gt=0)] = 300.0
    """After this long recall answers without it."""
    reranker_weight: Annotated[float, Field(gt=0, le=1)] = 0.5

    # From text to facts
    extraction: Literal["auto", "rules", "off"] = "auto"
    """Who finds facts: the language model where one is set, else rules. A bank may opt out."""

    # Who may call
    api_keys: SecretStr | None = None
    """Comma-separated `key` or `key=tenant`; absent: no authentication, tenant `default`."""

    # Bounds
    request_timeout_s: Seconds = 30.0
    max_body_bytes: Count = 8 << 20
    bank_requests: Count = 48
    shared_bank_requests: Count = 8
    """Requests for one bank that a replica works on at once, alone there and beside others; more are refused."""
    mailbox_commands: Count = 256
    """Commands of one bank waiting at its owner; more are refused."""
    mailbox_bytes: Count = 64 << 20
    """Memory of the commands waiting at one bank, roughly; more are refused. So with host and tenant below."""
    tenant_commands: Count = 1024
    tenant_bytes: Count = 128 << 20
    host_commands: Count = 2048
    """Commands waiting at one host over all its banks; more are refused."""
    host_bytes: Count = 256 << 20
    bank_idle_s: Seconds = 600.0
    """A bank unused for this long leaves its host's memory."""
    bank_cache_high_bytes: Count = 256 << 20
    """Above this, the least recently used banks of a host leave its memory, down to the low mark."""
    bank_cache_low_bytes: Count = 192 << 20
    embed_batch_texts: Annotated[int, Field(ge=1, le=256)] = 128
    embed_wait_ms: Annotated[float, Field(ge=0)] = 2.0
    embed_hedge_s: Seconds = 10.0
    """After this long without an answer a batch is given to a second worker."""
    recall_profile_ttl_s: Seconds = 1.0
    due_scan_s: Seconds = 2.0
    """How often a host looks for banks of its own that have something due."""
    tombstone_retention_s: Seconds = 3600.0
    """How long removed records keep refusing late writes of former owners, at least; at most twice as long."""
    history_retention_s: Seconds = 30 * 86400.0
    """How long settled commits are a bank's history, at most 512 of them."""
    operation_retention_s: Annotated[float, Field(ge=60)] = 86_400.0
    retention_sweep_s: Annotated[float, Field(ge=1)] = 3600.0
    """How often a bank with rules of retention lets go of what is past its time; until then it is hidden."""
    """How long an operation is kept once it has ended; a retry under its id after that does the work again."""

    # The language model
    llm_base_url: str | None = None
    """An OpenAI-compatible endpoint, like `https://api.openai.com/v1`; absent: facts are found by rules."""
    llm_api_key: SecretStr | None = None
    llm_model: str | None = None
    llm_temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    llm_calls_at_once: Annotated[int, Field(ge=1, le=1024)] = 16
    llm_requests_per_minute: Count | None = None
    llm_tokens_per_minute: Count | None = None
    llm_bank_tokens_per_day: Count | None = None
    llm_tenant_tokens_per_day: Count | None = None
    llm_call_s: Seconds = 60.0
    """How long one call may take."""
    llm_deadline_s: Annotated[float, Field(gt=0, le=540)] = 300.0
    """How long a window is tried, its time in line included; shorter than a stage may take."""
    llm_attempts: Count = 6
    llm_call_tokens: Count = 3000
    """Tokens of text in one call."""
    llm_call_windows: Count = 8
    llm_max_output_tokens: Count = 8192

    llm_prompt_usd_per_million: Annotated[float, Field(ge=0)] = 0.0
    llm_answer_usd_per_million: Annotated[float, Field(ge=0)] = 0.0
    """What a million tokens cost, by which `reflect_usd` counts."""

    # Reflect
    reflect_replicas: Count = 1
    """Processes that reflect, beside those that recall; none without a language model."""
    reflect_at_once: Count = 32
    """Reflections that one of them works on at once; more wait, and then are refused."""
    reflect_calls: Annotated[int, Field(ge=1, le=50)] = 9
    """Calls of the model before it must have answered, with budget high; a third of it with low."""
    reflect_tokens: Annotated[int, Field(ge=1000)] = 150_000
    reflect_evidence_tokens: Annotated[int, Field(ge=100)] = 24_000
    reflect_deadline_s: Seconds = 25.0
    """At most nine tenths of request_timeout_s, within which every request is answered."""
    reflect_usd: Annotated[float, Field(gt=0)] | None = None
    refresh_deadline_s: Annotated[float, Field(gt=0, le=540)] = 120.0
    refresh_quiet_s: Seconds = 10.0
    """How long after new evidence the mental models that follow it are looked at."""
    refresh_interval_s: Annotated[float, Field(ge=0)] = 60.0
    """Between two refreshes of a mental model by itself, unless its trigger says how long."""
    consolidation: Literal["auto", "rules", "off"] = "auto"
    """Who makes observations: the language model where one is set, else rules, for banks that ask for them."""
    consolidate_quiet_s: Seconds = 10.0
    """How long after new facts they are consolidated."""
    consolidate_facts: Annotated[int, Field(ge=1, le=10_000)] = 256
    """New facts in one batch; a language model is given at most 24."""
    consolidate_pause_s: Annotated[float, Field(ge=0)] = 0.0
    """Between two batches of a bank."""
    refresh_tokens_per_day: Count = 200_000
    """What one bank may spend in a day (UTC) on refreshes that nobody asked for."""
    bank_defaults: dict[str, Any] = {}
    """Settings that banks have unless they set their own, as JSON: `{"disposition_empathy": 4}`."""
    tenant_defaults: dict[str, dict[str, Any]] = {}
    """As bank_defaults, by tenant, and before those."""

    # Parts that do not answer
    supervisor_ping_s: Seconds = 1.0
    """How often each host and storage shard is asked whether it lives, and how long it may take to say so."""
    supervisor_misses: Count = 4
    """Answers missed in a row, by a process that does nothing, before it is ended; Ray starts another."""
    supervisor_busy_s: Seconds = 300.0
    """How long a process that works, or starts, may go without an answer."""
    spare_process: bool = True
    """Whether a process that has imported what hosts and shards need waits for one of them to end."""

    # Sessions
    session_debounce_s: Seconds = 10.0
    """How long a session rests before what depends on all of it is done."""
    session_idle_ttl_s: Seconds = 86_400.0
    """After this long without a turn a session is closed, unless it was opened with another time."""
    session_turns: Count = 10_000
    session_bytes: Count = 8 << 20
    open_sessions: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Open sessions of one bank."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keywords before the environment before the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("data", "cache")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().absolute()

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        if self.embedding_base_url and self.embedder == "minilm":
            object.__setattr__(self, "embedder", "http")
        if self.embedder == "http" and not (self.embedding_base_url and self.embedding_model):
            raise ValueError(
                "embedder = http needs LOREBANK_EMBEDDING_BASE_URL and LOREBANK_EMBEDDING_MODEL (an OpenAI-compatible"
                " endpoint); leave both out for the local MiniLM"
            )
        if bool(self.llm_base_url) != bool(self.llm_model):
            raise ValueError(
                "a language model needs both LOREBANK_LLM_BASE_URL (an OpenAI-compatible endpoint) and"
                " LOREBANK_LLM_MODEL (its name there); leave both out to have facts found by rules"
            )
        if self.reranker_url and self.reranker_style == "cohere" and not self.reranker_model:
            raise ValueError("reranker_style = cohere needs LOREBANK_RERANKER_MODEL, the name of the model there")
        if self.llm_base_url:
            self._check_model(self.llm_base_url)
        if self.llm_call_s > self.llm_deadline_s:
            raise ValueError(
                f"llm_call_s = {self.llm_call_s:g} must not be above llm_deadline_s = {self.llm_deadline_s:g}, the time"
                " of all calls for a window together"
            )
        for given in (self.bank_defaults, *self.tenant_defaults.values()):
            check_settings(given)
        if self.tombstone_retention_s < 10 * self.request_timeout_s:
            raise ValueError(
                f"tombstone_retention_s = {self.tombstone_retention_s:g} must be at least ten times request_timeout_s ="
                f" {self.request_timeout_s:g}: a former owner's late write must not outlive what refuses it"
            )
        if self.bank_cache_low_bytes > self.bank_cache_high_bytes:
            raise ValueError("bank_cache_low_bytes must not be above bank_cache_high_bytes")
        if self.qdrant_url:
            self._check_server(self.qdrant_url)
        return self

    def _check_model(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
            raise ValueError(
                "LOREBANK_LLM_BASE_URL is the address of an OpenAI-compatible endpoint, like https://host/v1, without a"
                " user or password: a key belongs in LOREBANK_LLM_API_KEY"
            )
        key = self.llm_api_key.get_secret_value() if self.llm_api_key else ""
        if any(not "!" <= character <= "~" for character in key):
            raise ValueError("LOREBANK_LLM_API_KEY holds a blank, a line break or a character that is not ASCII")

    def _check_server(self, url: str) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise ValueError(
                f"LOREBANK_QDRANT_URL is the address of a Qdrant server, like http://host:6333; not {url!r}"
            )
        if self.durability == "disk":
            raise ValueError(
                "durability = disk is a promise of the embedded store; with LOREBANK_QDRANT_URL the server decides when"
                " it writes to disk: leave LOREBANK_DURABILITY out and replicate instead"
            )
        confirming = self.qdrant_write_consistency_factor
        if confirming is not None and confirming > self.qdrant_replication_factor:
            raise ValueError(
                f"qdrant_write_consistency_factor = {confirming} replicas cannot confirm a write where"
                f" qdrant_replication_factor = {self.qdrant_replication_factor}"
            )


def load_settings(**given: object) -> Settings:
    """Settings from keywords, the environment and lorebank.toml; keywords that are None count as absent.

    Raises:
        BadSettings: a setting is out of range or contradicts another; the message names it.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as exc:
        lines = [
            f"{'.'.join(map(str, error['loc'])) or 'settings'}: {error['msg'].removeprefix('Value error, ')}"
            for error in exc.errors()
        ]
        raise BadSettings("; ".join(lines)) from exc
    except SettingsError as exc:  # of a setting that is JSON; its message names it
        raise BadSettings(f"{exc}; it must be JSON") from exc


def inherited_by(settings: Settings, tenant: str) -> dict[str, Any]:
    """Settings of a tenant's banks that set none of their own: the tenant's, then the deployment's."""
    observing = {OBSERVING: True} if settings.llm_base_url and settings.consolidation == "auto" else {}
    return {**observing, **settings.bank_defaults, **settings.tenant_defaults.get(tenant, {})}


def retention_of(settings: Settings) -> Retention:
    """How long banks keep what is of no use to callers."""
    return Retention(timedelta(seconds=settings.tombstone_retention_s), timedelta(seconds=settings.history_retention_s))
