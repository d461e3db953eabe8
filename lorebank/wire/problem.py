"""Problem bodies (RFC 9457) that also carry `detail` and `error` as the plain texts the peers' clients read."""

from typing import Any

from pydantic import Field, ValidationError

from lorebank.wire.fields import TOO_LARGE, ResponseModel

PROBLEM_CONTENT_TYPE = "application/problem+json"
STATUS_INVALID = 422
STATUS_TOO_LARGE = 413
MAX_FIELD_PROBLEMS = 20
"""Field problems listed in one body; the rest are only counted."""


class FieldProblem(ResponseModel):
    """What is wrong with one field: its path in the body, a message, and a stable type."""

    loc: list[str | int]
    msg: str
    type: str


class Problem(ResponseModel):
    """Body of every answer that is not 2xx."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str
    instance: str | None = None
    retry_after_s: int | None = None
    errors: list[FieldProblem] = Field(default_factory=list)


def make_problem(status: int, title: str, detail: str, **extra: Any) -> Problem:
    """A problem whose `error` repeats `detail`."""
    return Problem(status=status, title=title, detail=detail, error=detail, **extra)


def problem_of_validation(error: ValidationError) -> Problem:
    """413 if a size limit was exceeded, else 422; never quotes the values that were sent."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    fields = [
        FieldProblem(loc=[_printable(part) for part in one["loc"]], msg=_printable_text(one["msg"]), type=one["type"])
        for one in found[:MAX_FIELD_PROBLEMS]
    ]
    too_large = any(one["type"] == TOO_LARGE for one in found)
    listed = "; ".join(f"{'.'.join(map(str, field.loc)) or 'body'}: {field.msg}" for field in fields)
    more = f"; and {len(found) - len(fields)} more" if len(found) > len(fields) else ""
    return make_problem(
        STATUS_TOO_LARGE if too_large else STATUS_INVALID,
        "Request too large" if too_large else "Invalid request",
        listed + more,
        errors=fields,
    )


def _printable(part: str | int) -> str | int:
    return _printable_text(part) if isinstance(part, str) else part


def _printable_text(text: str) -> str:
    """Text that any encoder takes: lone surrogates and long keys come from the request."""
    return text[:200].encode("utf-8", "replace").decode("utf-8")
