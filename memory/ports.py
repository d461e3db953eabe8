"""Protocols that the core and the actors need and that `storage` and `providers` implement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from memory.records import Embedding


class Clock(Protocol):
    """Source of the current time; tests inject their own."""

    def now(self) -> datetime:
        """The current instant, aware, in UTC."""
        ...


EmbedderKind = Literal["minilm", "http", "hash"]
"""The embedders there are, by what settings call them; `providers/factory.py` builds each."""


class Embedder(Protocol):
    """Turns texts into sentence vectors. Blocking; callers run it in a task or a thread."""

    @property
    def name(self) -> str:
        """Identifies the vector space: model and precision; vectors of different names never mix."""
        ...

    @property
    def dim(self) -> int:
        """Length of each vector."""
        ...

    def embed_with_tokens(self, texts: Sequence[str]) -> list[Embedding]:
        """As embed, with the packed token vectors of the same pass where the model has any."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Sentence vectors, float32, (n_texts, dim), rows finite and L2-normalised, in the order given.

        An empty sequence gives an array of shape (0, dim).

        Raises:
            ModelUnusable: the model answers with something that is no finite vector of `dim`.
            RetryLater: a remote endpoint is overloaded or unreachable.
        """
        ...


class Tokenizer(Protocol):
    """Counts tokens for budgets."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without special tokens, untruncated."""
        ...


@dataclass(frozen=True, slots=True)
class Completion:
    """What a language model answered. `finish`: stop, length (cut off), refusal, or what the endpoint says."""

    text: str
    finish: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One call of the language model for a bank's reflection. prompt_tokens: estimated; foreign: a caller's schema."""

    tenant: str
    bank: str
    messages: tuple[Mapping[str, str], ...]
    schema: Mapping[str, Any]
    max_tokens: int
    prompt_tokens: int
    timeout_s: float
    foreign: bool = False


class Chat(Protocol):
    """Calls the language model under the deployment's budget, caps and circuit."""

    async def ask(self, request: ChatRequest) -> Completion:
        """The answer, within the request's time, its time in line included.

        Raises:
            RetryLater: no turn came, the endpoint does not answer, refuses everything, or the day's tokens are spent.
            Unprocessable: the endpoint refuses this request.
        """
        ...
