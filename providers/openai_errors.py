"""Translates what the `openai` client raises into memory.errors: the one table for it."""

from collections.abc import Callable

import openai

from memory.errors import DeadlineExceeded, LorebankError, ModelUnusable, Overloaded, Unavailable, Unprocessable
from providers.http_errors import stated_wait_s

_SHOWN_CHARS = 300
_DEFAULT_THROTTLE_S = 1.0

# The most specific row counts, so children stand above their parents. Unprocessable: this request alone is refused.
TABLE: tuple[tuple[type[openai.OpenAIError], Callable[[str], LorebankError]], ...] = (
    (openai.RateLimitError, Overloaded),
    (openai.AuthenticationError, ModelUnusable),
    (openai.PermissionDeniedError, ModelUnusable),
    (openai.NotFoundError, ModelUnusable),
    (openai.BadRequestError, Unprocessable),
    (openai.UnprocessableEntityError, Unprocessable),
    (openai.ConflictError, Unavailable),
    (openai.InternalServerError, Unavailable),
    (openai.APITimeoutError, DeadlineExceeded),
    (openai.APIConnectionError, Unavailable),
    (openai.APIResponseValidationError, Unavailable),
    (openai.APIStatusError, Unprocessable),
    (openai.APIError, Unavailable),
    (openai.OpenAIError, ModelUnusable),
)
_BY_STATUS: dict[int, type[LorebankError]] = {
    408: Unavailable,
    425: Unavailable,
    402: ModelUnusable,
    501: Unprocessable,
}
"""Statuses whose class says something else."""


def translate(exc: openai.OpenAIError, source: str, api_key: str) -> LorebankError:
    """The error to raise `from exc`; `source` names endpoint and model. No message holds the key.

    An error that may pass has the wait in it that the endpoint asked for; without one, Overloaded has a second.
    """
    ours = next(ours for foreign, ours in TABLE if isinstance(exc, foreign))
    said, stated_s = f"{type(exc).__name__}: {exc}", None
    if isinstance(exc, openai.APIStatusError):
        ours = _BY_STATUS.get(exc.status_code, ours)
        said = f"HTTP {exc.status_code}: {exc.message}"
        stated_s = stated_wait_s(exc.response.headers)
    if api_key:  # some servers quote the key they refuse
        said = said.replace(api_key, "[key]")
    message = f"{source}: {' '.join(said.split())[:_SHOWN_CHARS]}"
    if ours is Overloaded:
        return Overloaded(message, _DEFAULT_THROTTLE_S if stated_s is None else stated_s)
    if ours is Unavailable or ours is DeadlineExceeded:
        return ours(message, stated_s or 0.0)
    return ours(message)
