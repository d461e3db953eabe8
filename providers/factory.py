"""Builds the embedder that the settings ask for.

The HTTP embedder is imported where it is used: its client costs a process that starts a fifth of its imports.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, assert_never, get_args

from memory.errors import BadSettings
from memory.ports import Embedder, EmbedderKind
from providers.hash_embedder import HashEmbedder
from providers.minilm import load_minilm
from providers.minilm_files import Precision
from providers.policy import RetryPolicy

if TYPE_CHECKING:
    from providers.http_embedder import EmbeddingEndpoint

_HASH_DIM = 384
_DEADLINE_S = 30.0
"""Of one call of an HTTP embedder, its retries included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """Which models to use. Filled by the process's settings; nothing here reads the environment.

    Raises:
        BadSettings: a value is not one of those allowed, or an HTTP embedder has no base URL or model.
    """

    cache_dir: Path
    """Where built model graphs are kept; see `default_cache_dir`."""
    embedder: EmbedderKind = "minilm"
    precision: Precision = "int8"
    token_vectors: bool = False
    """Whether MiniLM gives token vectors for late interaction, too."""
    embedding_base_url: str = ""
    embedding_api_key: str = field(default="", repr=False)
    embedding_model: str = ""
    embedding_dim: int | None = None
    """Length of an HTTP or hash embedder's vectors; None: as the endpoint answers, or 384."""

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("embedder", self.embedder, get_args(EmbedderKind)),
            ("precision", self.precision, get_args(Precision)),
        ):
            if value not in allowed:
                raise BadSettings(f"{name} must be one of {', '.join(allowed)}, is {value!r}")
        if self.embedding_dim is not None and self.embedding_dim < 1:
            raise BadSettings(f"embedding_dim must be at least 1, is {self.embedding_dim}")
        if self.embedder == "http":
            self.endpoint()

    def endpoint(self) -> "EmbeddingEndpoint":
        """The endpoint of the HTTP embedder.

        Raises:
            BadSettings: as EmbeddingEndpoint.
        """
        from providers.http_embedder import EmbeddingEndpoint  # noqa: PLC0415 - only where it is used

        return EmbeddingEndpoint(
            base_url=self.embedding_base_url,
            model=self.embedding_model,
            api_key=self.embedding_api_key,
            dim=self.embedding_dim,
        )


def default_cache_dir(home: Path, xdg_cache_home: str | None) -> Path:
    """`lorebank/models` under the XDG cache: `xdg_cache_home` if it is an absolute path, else `~/.cache`."""
    if xdg_cache_home and Path(xdg_cache_home).is_absolute():
        return Path(xdg_cache_home) / "lorebank" / "models"
    return home / ".cache" / "lorebank" / "models"


def build_embedder(settings: ProviderSettings) -> Embedder:
    """The embedder of the settings; loads or builds MiniLM, but never calls an endpoint.

    Raises:
        ModelUnusable: MiniLM's files or cache cannot be used.
    """
    match settings.embedder:
        case "minilm":
            return load_minilm(settings.cache_dir, settings.precision, tokens=settings.token_vectors)
        case "http":
            from providers.http_embedder import OpenAICompatibleEmbedder  # noqa: PLC0415 - only where it is used

            return OpenAICompatibleEmbedder(settings.endpoint(), RetryPolicy(deadline_s=_DEADLINE_S))
        case "hash":
            return HashEmbedder(settings.embedding_dim or _HASH_DIM)
        case _:
            assert_never(settings.embedder)
