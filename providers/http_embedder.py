"""Embeds texts with an OpenAI-compatible HTTP endpoint."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from memory.errors import BadSettings, DeadlineExceeded, ModelUnusable
from memory.records import Embedding
from providers.http_errors import FOREIGN, failure_of_exception, failure_of_status
from providers.policy import AttemptFailed, RetryPolicy, with_retries
from providers.texts import well_formed
from providers.vectors import unit_rows

_DEFAULT_POLICY = RetryPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingEndpoint:
    """Where the model is and how to ask it.

    Raises:
        BadSettings: the URL is no http(s) URL or holds a password, the model is empty, a number is below 1,
            or the key holds characters that no header may.
    """

    base_url: str
    """E.g. "https://api.openai.com/v1"; "/embeddings" is added."""
    model: str
    api_key: str = field(default="", repr=False)
    dim: int | None = None
    """Length of the vectors; None: learnt from the first answer."""
    batch_texts: int = 64

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.base_url)
        except httpx.InvalidURL as exc:
            raise BadSettings(f"embedding base URL is not a URL: {exc}") from exc
        if url.scheme not in {"http", "https"} or not url.host:
            raise BadSettings("embedding base URL must begin with http:// or https:// and name a host")
        if url.userinfo:
            raise BadSettings("embedding base URL must not hold a user or password; use the API key setting")
        if not self.model:
            raise BadSettings("embedding model must not be empty when an embedding base URL is set")
        if self.dim is not None and self.dim < 1:
            raise BadSettings(f"embedding dim must be at least 1, is {self.dim}")
        if self.batch_texts < 1:
            raise BadSettings(f"embedding batch must be at least 1 text, is {self.batch_texts}")
        if any(not "!" <= character <= "~" for character in self.api_key):
            # Found here because h11 would print the whole header, the key with it.
            raise BadSettings("embedding API key holds a blank, a line break or a character that is not ASCII")

    @property
    def url(self) -> httpx.URL:
        """Full URL of the embeddings call."""
        base = httpx.URL(self.base_url)
        return base.copy_with(path=base.path.rstrip("/") + "/embeddings")

    @property
    def shown(self) -> str:
        """Model and URL without its query, which may hold secrets: for messages."""
        return f"{self.model} at {self.url.copy_with(query=None)}"


class OpenAICompatibleEmbedder:
    """Implements memory.ports.Embedder over `POST {base_url}/embeddings`; safe to share between threads.

    `sleep` and `monotonic` are for tests.
    """

    def __init__(
        self,
        endpoint: EmbeddingEndpoint,
        policy: RetryPolicy = _DEFAULT_POLICY,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._policy = policy
        self._sleep = sleep
        self._monotonic = monotonic
        self._dim = endpoint.dim
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._client = httpx.Client(headers=headers, trust_env=False)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint.shown})"

    @property
    def name(self) -> str:
        """The model."""
        return self._endpoint.model

    @property
    def dim(self) -> int:
        """Length of each vector. Unless the settings tell or a text was embedded before, the endpoint is asked.

        Raises:
            ModelUnusable, RetryLater: as `embed`.
        """
        if self._dim is None:
            self._dim = self.embed(["length"]).shape[1]
        return self._dim

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Sentence vectors, float32, (n_texts, dim), rows L2-normalised, in the order given.

        The policy's deadline covers the whole call, all batches and retries included; it is checked whenever bytes
        arrive, so an answer that trickles in can overrun it by `attempt_s` at most. A blank text is sent as ".",
        because endpoints refuse empty input.

        Raises:
            ModelUnusable: the endpoint refuses the request, or its answer is not one finite vector per text.
            Overloaded: it still answers 429 after the last attempt.
            Unavailable: it cannot be reached, or still answers 5xx.
            DeadlineExceeded: it does not answer in time.
        """
        sendable = [text if text.strip() else "." for text in well_formed(texts)]
        if not sendable:
            return np.empty((0, self.dim), dtype=np.float32)
        deadline_at_s = self._monotonic() + self._policy.deadline_s
        size = self._endpoint.batch_texts
        starts = range(0, len(sendable), size)
        return np.concatenate([self._batch(sendable[start : start + size], deadline_at_s) for start in starts])

    def embed_with_tokens(self, texts: Sequence[str]) -> list[Embedding]:
        """As embed; endpoints give no token vectors."""
        return [Embedding(vector) for vector in self.embed(texts)]

    def close(self) -> None:
        """Closes the connections; the embedder cannot be used afterwards."""
        self._client.close()

    def _batch(self, texts: list[str], deadline_at_s: float) -> NDArray[np.float32]:
        request: dict[str, Any] = {"model": self._endpoint.model, "input": texts, "encoding_format": "float"}
        body = with_retries(
            self._policy,
            lambda left_s: self._post(request, left_s),
            deadline_at_s=deadline_at_s,
            sleep=self._sleep,
            monotonic=self._monotonic,
        )
        rows = unit_rows(self._embeddings(body, len(texts)), len(texts), self._dim, self._endpoint.shown)
        self._dim = rows.shape[1]
        return rows

    def _post(self, request: Mapping[str, Any], left_s: float) -> bytes:
        source = self._endpoint.shown
        if left_s <= 0:  # the batches before this one took it all
            raise AttemptFailed(DeadlineExceeded(f"{source}: no time left to ask"))
        end_at_s = self._monotonic() + left_s
        chunks: list[bytes] = []
        try:
            with self._client.stream("POST", self._endpoint.url, json=request, timeout=left_s) as response:
                for chunk in response.iter_bytes():
                    chunks.append(chunk)
                    # httpx limits the wait for each piece only: this limits them all.
                    if self._monotonic() > end_at_s:
                        late = DeadlineExceeded(f"{source}: the answer was not complete after {left_s:.3g} s")
                        raise AttemptFailed(late)
        except FOREIGN as exc:
            raise failure_of_exception(exc, source) from exc
        body = b"".join(chunks)
        if response.status_code != httpx.codes.OK:
            text = body.decode("utf-8", "replace")
            if self._endpoint.api_key:  # some servers quote the key they refuse
                text = text.replace(self._endpoint.api_key, "[key]")
            raise failure_of_status(response.status_code, response.headers, text, source)
        return body

    def _embeddings(self, body: bytes, count: int) -> list[Any]:
        """The answer's vectors in the order of the texts, unchecked."""
        source = self._endpoint.shown
        try:
            items = json.loads(body)["data"]
            by_index = {item["index"]: item["embedding"] for item in items}
        except (ValueError, TypeError, LookupError) as exc:
            raise ModelUnusable(f"{source}: the answer is no list of embeddings ({type(exc).__name__}: {exc})") from exc
        if len(items) != count or set(by_index) != set(range(count)):
            raise ModelUnusable(
                f"{source}: {count} texts were sent, {len(items)} embeddings came back, or wrong indexes"
            )
        return [by_index[index] for index in range(count)]
