"""Scores texts by a cross-encoder over HTTP: Text Embeddings Inference's `/rerank`, or Cohere's `/v2/rerank`."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from memory.errors import BadSettings, ModelUnusable
from providers.http_errors import FOREIGN, failure_of_exception, failure_of_status
from providers.policy import AttemptFailed
from providers.texts import well_formed

Style = Literal["tei", "cohere"]
TEI_BATCH = 32
"""Texts of one request that a server of Text Embeddings Inference takes unless it is told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankEndpoint:
    """Where the cross-encoder is and which way it is asked.

    Raises:
        BadSettings: the URL is no http(s) URL or holds a password, Cohere's way lacks a model, or the key holds
            characters that no header may.
    """

    base_url: str
    style: Style
    model: str = ""
    api_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.base_url)
        except httpx.InvalidURL as exc:
            raise BadSettings(f"reranker URL is not a URL: {exc}") from exc
        if url.scheme not in {"http", "https"} or not url.host:
            raise BadSettings("reranker URL must begin with http:// or https:// and name a host")
        if url.userinfo:
            raise BadSettings("reranker URL must not hold a user or password; use the API key setting")
        if self.style == "cohere" and not self.model:
            raise BadSettings("reranker model must be set where reranker_style = cohere")
        if any(not "!" <= character <= "~" for character in self.api_key):
            raise BadSettings("reranker API key holds a blank, a line break or a character that is not ASCII")

    @property
    def url(self) -> httpx.URL:
        """Full URL of the call."""
        base = httpx.URL(self.base_url)
        path = base.path.rstrip("/")
        versioned = self.style == "cohere" and not path.endswith(("/v1", "/v2"))
        return base.copy_with(path=f"{path}/v2/rerank" if versioned else f"{path}/rerank")

    def __str__(self) -> str:
        """URL without its query, which may hold secrets: for messages."""
        return f"reranker at {self.url.copy_with(query=None)}"


class HttpReranker:
    """Scores how well texts answer a query, each read together with it; to be used from one event loop."""

    def __init__(self, endpoint: RerankEndpoint) -> None:
        self._endpoint = endpoint
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._http = httpx.AsyncClient(headers=headers, trust_env=False)

    async def score(self, query: str, texts: Sequence[str], timeout_s: float) -> list[float]:
        """How well each text answers the query, in order; the higher the better.

        Raises:
            RetryLater: it does not answer, or not in time.
            ModelUnusable: it refuses the request, or answers with something that is no score for each text.
        """
        asked, *written = well_formed([query, *texts])
        size = TEI_BATCH if self._endpoint.style == "tei" else max(1, len(written))
        parts = [written[begin : begin + size] for begin in range(0, len(written), size)]
        scores = await asyncio.gather(*(self._ask(asked, part, timeout_s) for part in parts))
        return [score for part in scores for score in part]

    async def close(self) -> None:
        """Give up the connections."""
        await self._http.aclose()

    async def _ask(self, query: str, texts: Sequence[str], timeout_s: float) -> list[float]:
        where = str(self._endpoint)
        try:
            answer = await self._http.post(self._endpoint.url, json=self._body(query, texts), timeout=timeout_s)
        except FOREIGN as exc:
            raise _told(failure_of_exception(exc, where)) from exc
        if answer.status_code != httpx.codes.OK:
            raise _told(failure_of_status(answer.status_code, answer.headers, answer.text, where))
        try:
            return self._scores(answer.json(), len(texts))
        except (KeyError, TypeError, ValueError) as exc:
            raise ModelUnusable(f"{where}: no score for each of {len(texts)} texts: {answer.text[:200]}") from exc

    def _body(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        if self._endpoint.style == "tei":
            return {"query": query, "texts": list(texts), "truncate": True}
        return {"model": self._endpoint.model, "query": query, "documents": list(texts), "top_n": len(texts)}

    def _scores(self, answer: Any, count: int) -> list[float]:
        rows, name = (answer, "score") if self._endpoint.style == "tei" else (answer["results"], "relevance_score")
        by_index = {int(row["index"]): float(row[name]) for row in rows}
        if len(rows) != count or set(by_index) != set(range(count)) or not all(map(math.isfinite, by_index.values())):
            raise ValueError(f"{len(rows)} rows")
        return [by_index[index] for index in range(count)]


def _told(failure: AttemptFailed | ModelUnusable) -> Exception:
    return failure.error if isinstance(failure, AttemptFailed) else failure
