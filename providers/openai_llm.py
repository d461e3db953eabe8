"""A language model behind an OpenAI-compatible HTTP endpoint, with the strictest kind of answer that it knows."""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import httpx2
import openai

from memory.errors import BadSettings, DeadlineExceeded, Unavailable, Unprocessable
from memory.extraction.answer_schema import SCHEMA_NAME
from memory.extraction.grouping import estimate_tokens
from memory.ports import Completion
from providers.openai_errors import translate

FORMATS = ("json_schema", "json_object", "text")
"""Kinds of answer that are tried, strictest first."""
LIMIT_NAMES = ("max_completion_tokens", "max_tokens")
"""What the bound of an answer is called: new models refuse the second, old servers the first."""
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TRY_AGAIN_S = 3600.0
"""After so long an endpoint is asked again for the strictest kind: it may have been updated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatEndpoint:
    """Where the model is and how to ask it.

    Raises:
        BadSettings: the URL is no http(s) URL or holds a password, the model is empty, or the key holds characters that
            no header may.
    """

    base_url: str
    """E.g. "https://api.openai.com/v1"; "/chat/completions" is added."""
    model: str
    api_key: str = field(default="", repr=False)
    connections: int = 64
    temperature: float | None = None
    """None: the model's own; some models refuse any other."""

    def __post_init__(self) -> None:
        try:
            url = httpx.URL(self.base_url)
        except httpx.InvalidURL as exc:
            raise BadSettings(f"LLM base URL is not a URL: {exc}") from exc
        if url.scheme not in {"http", "https"} or not url.host:
            raise BadSettings("LLM base URL must begin with http:// or https:// and name a host")
        if url.userinfo:
            raise BadSettings("LLM base URL must not hold a user or password; use the API key setting")
        if not self.model:
            raise BadSettings("LLM model must not be empty when an LLM base URL is set")
        if any(not "!" <= character <= "~" for character in self.api_key):
            raise BadSettings("LLM API key holds a blank, a line break or a character that is not ASCII")

    @property
    def shown(self) -> str:
        """Model and URL without its query, which may hold secrets: for messages."""
        return f"{self.model} at {httpx.URL(self.base_url).copy_with(query=None)}"


class OpenAICompatibleModel:
    """Answers chats over `POST {base_url}/chat/completions`, one HTTP call at a time.

    It repeats nothing but a request whose kind of answer the endpoint does not know: that one is made again with the
    next kind, and the first kind that is answered is kept. To be used from one event loop.
    """

    def __init__(self, endpoint: ChatEndpoint, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._endpoint = endpoint
        self._monotonic = monotonic
        self._format = 0
        self._fell_back_at_s = 0.0
        self._limit_name = LIMIT_NAMES[0]
        limits = httpx2.Limits(max_connections=endpoint.connections, max_keepalive_connections=endpoint.connections)
        self._client = openai.AsyncOpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key or "none",
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(limits=limits, trust_env=False),
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint.shown})"

    @property
    def name(self) -> str:
        """The model."""
        return self._endpoint.model

    @property
    def format(self) -> str:
        """The kind of answer that is asked for at present."""
        return FORMATS[self._format]

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        schema: Mapping[str, Any] | None,
        *,
        max_tokens: int,
        timeout_s: float,
    ) -> Completion:
        """The answer; `timeout_s` holds for all of it, falling back included.

        Raises:
            Overloaded, Unavailable, DeadlineExceeded, ModelUnusable, Unprocessable: as memory.ports.LanguageModel.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._strictest(messages, schema, max_tokens)
        except TimeoutError as exc:
            late = f"{self._endpoint.shown}: no answer within {timeout_s:.3g} s"
            raise DeadlineExceeded(late, 0.0) from exc

    async def ping(self, timeout_s: float) -> None:
        """Have it say one token. That it refuses to is an answer too.

        Raises:
            Overloaded, Unavailable, DeadlineExceeded, ModelUnusable: it does not answer.
        """
        with contextlib.suppress(Unprocessable):
            await self.complete([{"role": "user", "content": "Say ok."}], None, max_tokens=1, timeout_s=timeout_s)

    async def close(self) -> None:
        """Give up the connections."""
        await self._client.close()

    async def _strictest(
        self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any] | None, max_tokens: int
    ) -> Completion:
        """The answer of the strictest kind that is not refused."""
        first = self._first_format() if schema is not None else len(FORMATS) - 1
        for index in range(first, len(FORMATS)):
            try:
                completion = await self._limited(messages, _response_format(FORMATS[index], schema), max_tokens)
            except Unprocessable:
                if index == len(FORMATS) - 1:
                    raise
                continue
            if schema is not None and index != self._format:
                self._format, self._fell_back_at_s = index, self._monotonic()
            return completion
        raise AssertionError("the last kind of answer is given or raises")

    def _first_format(self) -> int:
        if self._format and self._monotonic() - self._fell_back_at_s > TRY_AGAIN_S:
            self._format = 0
        return self._format

    async def _limited(
        self, messages: Sequence[Mapping[str, str]], response_format: Mapping[str, Any] | None, max_tokens: int
    ) -> Completion:
        """The answer of at most so many tokens, by whichever name the endpoint knows that limit."""
        try:
            return await self._ask(messages, response_format, max_tokens)
        except Unprocessable as exc:
            if not any(name in str(exc) for name in LIMIT_NAMES):
                raise
            self._limit_name = next(name for name in LIMIT_NAMES if name != self._limit_name)
            return await self._ask(messages, response_format, max_tokens)

    async def _ask(
        self, messages: Sequence[Mapping[str, str]], response_format: Mapping[str, Any] | None, max_tokens: int
    ) -> Completion:
        source = self._endpoint.shown
        body: dict[str, Any] = {"model": self._endpoint.model, "messages": list(messages), self._limit_name: max_tokens}
        if response_format is not None:
            body["response_format"] = response_format
        if self._endpoint.temperature is not None:
            body["temperature"] = self._endpoint.temperature
        try:
            answer: object = await self._client.post("/chat/completions", body=body, cast_to=object)
        except openai.OpenAIError as exc:
            raise translate(exc, source, self._endpoint.api_key) from exc
        except (ValueError, httpx2.HTTPError) as exc:  # the client lets these of a body that is cut or no JSON through
            raise Unavailable(f"{source}: the answer cannot be read: {type(exc).__name__}", 0.0) from exc
        return _completion(answer, messages, source)


def _response_format(kind: str, schema: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    match kind:
        case "json_schema" if schema is not None:
            return {"type": kind, "json_schema": {"name": _name_of(schema), "strict": True, "schema": schema}}
        case "json_object":
            return {"type": kind}
        case _:
            return None


def _name_of(schema: Mapping[str, Any]) -> str:
    """What the schema is called in a request: its title, where that is a name."""
    title = schema.get("title")
    return title if isinstance(title, str) and _NAME.fullmatch(title) else SCHEMA_NAME


def _completion(answer: Any, messages: Sequence[Mapping[str, str]], source: str) -> Completion:
    """The first choice of an answer, read leniently: compatible endpoints leave fields out."""
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        text, refusal = message.get("content"), message.get("refusal")
    except (TypeError, LookupError, AttributeError) as exc:
        raise Unavailable(f"{source}: the answer is no chat completion", 0.0) from exc
    finish = "refusal" if refusal or choice.get("finish_reason") == "content_filter" else choice.get("finish_reason")
    text = text if isinstance(text, str) else ""
    usage = answer.get("usage") or {}
    asked = sum(estimate_tokens(message["content"]) for message in messages)
    return Completion(
        text,
        finish if isinstance(finish, str) else "stop",
        _count(usage, "prompt_tokens", asked),
        _count(usage, "completion_tokens", estimate_tokens(text)),
    )


def _count(usage: Any, name: str, otherwise: int) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) and value >= 0 else otherwise
