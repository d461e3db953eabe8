"""The table from status to error class, and problem bodies of every kind of server."""

import inspect

import pytest

import lorebank
from lorebank import ApiError, InvalidRequestError, RetryLaterError, ServerError, _errors
from lorebank._errors import ERROR_BY_STATUS, error_class, error_from


def test_every_status_has_its_class() -> None:
    """Listed ones their own, the others that of their hundred."""
    for status in range(300, 600):
        expected = ERROR_BY_STATUS.get(status, ServerError if status >= 500 else InvalidRequestError)
        assert error_class(status) is expected
        assert isinstance(error_from(status, b"", {}), ApiError)


def test_all_errors_are_public() -> None:
    """Whoever catches an error can import it from the package."""
    defined = {name for name, one in inspect.getmembers(_errors, inspect.isclass) if issubclass(one, Exception)}
    assert {name for name in defined if one_of_ours(name)} <= set(lorebank.__all__)


def one_of_ours(name: str) -> bool:
    return getattr(_errors, name).__module__ == _errors.__name__


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b'{"title":"T","status":404,"detail":"gone","error":"gone"}', "gone"),
        (b'{"detail":"plain"}', "plain"),
        (b'{"error":"plain"}', "plain"),
        (b'{"detail":[{"loc":["body"],"msg":"bad","type":"x"}]}', '[{"loc":["body"],"msg":"bad","type":"x"}]'),
        (b"<html>bad gateway</html>", "<html>bad gateway</html>"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"", "no explanation"),
        (b"[1]", "[1]"),
        (b"null", "null"),
        (b"{}", "{}"),
        (b"x" * 2000, "x" * 500),
    ],
)
def test_any_body_gives_an_explanation(body: bytes, detail: str) -> None:
    """Proxies and frameworks answer in their own forms."""
    error = error_from(404, body, {})
    assert error.problem.detail == detail
    assert str(error).startswith("404 ")


@pytest.mark.parametrize(
    ("header", "wait_s"), [("3", 3.0), (" 3 ", 3.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0), ("-1", 1.0), (None, 1.0)]
)
def test_retry_after_is_read_in_seconds(header: str | None, wait_s: float) -> None:
    """Only the form in seconds counts; a refusal that asks for nothing means one second."""
    headers = {} if header is None else {"retry-after": header}
    error = error_from(429, b"", headers)
    assert isinstance(error, RetryLaterError)
    assert error.retry_after_s == wait_s
    assert error_from(500, b"", {}).retry_after_s is None
