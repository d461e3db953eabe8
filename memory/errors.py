"""The one error tree. Branches follow what the caller can do about it.

    LorebankError
      InvalidRequest       fix the request           400 (its children: 404, 409, 413, 422 ...)
        NotFound             nothing under that id     404
        Conflict             state forbids it          409
        TooLarge             over a stated limit       413
        Unprocessable        well-formed, not allowed  422
        Unauthorized         no valid key              401
        Forbidden            valid key, not allowed    403
      RetryLater           wait and retry            503 + Retry-After
        Overloaded           a bound is full           429 + Retry-After
        Unavailable          a part is restarting      503
        DeadlineExceeded     no answer in time         503
      Stale                re-read and decide        never reaches a client: the actor layer re-resolves and retries
        StaleEpoch           another owner took over
        StaleCommit          the head moved on
        NotOwner             this host does not hold the bank
      OperatorAction       an operator must act      500, and the process says what to do
        BadSettings, StoreLocked, StoreDamaged, SchemaMismatch, ModelUnusable

Every class keeps its arguments in `args`, so that errors survive pickling between processes.
"""


class LorebankError(Exception):
    """Root of every error this project raises on purpose."""


class InvalidRequest(LorebankError):
    """The request cannot be served as it is; the caller must change it."""


class NotFound(InvalidRequest):
    """Nothing is stored under that id in this bank."""


class Conflict(InvalidRequest):
    """The stored state forbids the request, e.g. an operation id reused for another command."""


class TooLarge(InvalidRequest):
    """A stated limit on size, depth or count is exceeded."""


class Unprocessable(InvalidRequest):
    """Well-formed, but a value is outside what the field allows."""


class Unauthorized(InvalidRequest):
    """No valid API key came with the request."""


class Forbidden(InvalidRequest):
    """The API key is valid but not for this."""


class RetryLater(LorebankError):
    """Nothing is wrong with the request; the same one may succeed after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message, retry_after_s)
        self.message = message
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message


class Overloaded(RetryLater):
    """A bounded queue is full; nothing was accepted."""


class Unavailable(RetryLater):
    """A part of the system is restarting or unreachable."""


class DeadlineExceeded(RetryLater):
    """No answer came before the request's deadline; a write may or may not have happened."""


class Stale(LorebankError):
    """The caller acted on an old view; it must read again before it decides."""


class StaleEpoch(Stale):
    """A newer owner has taken the bank; this owner must drop its cache and touch nothing more."""


class StaleCommit(Stale):
    """The bank's head moved on between reading and committing."""


class NotOwner(Stale):
    """This host does not hold the bank; `ring_version` is the ring it decided by."""

    def __init__(self, message: str, ring_version: int = 0) -> None:
        super().__init__(message, ring_version)
        self.message = message
        self.ring_version = ring_version

    def __str__(self) -> str:
        return self.message


class OperatorAction(LorebankError):
    """Nothing a client can do: an operator must change settings, files or processes."""


class BadSettings(OperatorAction):
    """A setting is missing, out of range or contradicts another; the message names both and the rule."""


class StoreLocked(OperatorAction):
    """Another process holds the data directory; the message names it where it can be found."""


class StoreDamaged(OperatorAction):
    """The store's files cannot be read; the message says which and what to do."""


class SchemaMismatch(OperatorAction):
    """The data directory was written by a newer schema version than this program knows."""


class ModelUnusable(OperatorAction):
    """A model's weights, tokenizer or endpoint are missing or not the ones expected."""
