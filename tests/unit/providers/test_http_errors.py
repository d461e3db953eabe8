import httpx
import pytest

from memory.errors import DeadlineExceeded, ModelUnusable, Overloaded, RetryLater, Unavailable
from providers.http_errors import FOREIGN, failure_of_exception, failure_of_status, stated_wait_s
from providers.policy import AttemptFailed

NOW = "Wed, 21 Oct 2026 07:28:00 GMT"


def _descendants(kind: type) -> set[type]:
    return {kind}.union(*(_descendants(child) for child in kind.__subclasses__()))


def _exported() -> set[type]:
    exported = (getattr(httpx, name) for name in httpx.__all__)
    return {item for item in exported if isinstance(item, type) and issubclass(item, Exception)}


ALL = sorted(_exported().union(*(_descendants(kind) for kind in FOREIGN)), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_exception_of_httpx_is_translated(kind: type[Exception]):
    assert issubclass(kind, FOREIGN)
    failure = failure_of_exception(kind.__new__(kind, "reason"), "model at url")
    error = failure.error if isinstance(failure, AttemptFailed) else failure
    assert isinstance(error, RetryLater | ModelUnusable)
    assert str(error).startswith(f"model at url: {kind.__name__}: ")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (httpx.ConnectTimeout, Unavailable),
        (httpx.PoolTimeout, Unavailable),
        (httpx.ReadTimeout, DeadlineExceeded),
        (httpx.WriteTimeout, DeadlineExceeded),
        (httpx.ConnectError, Unavailable),
        (httpx.ReadError, Unavailable),
        (httpx.RemoteProtocolError, Unavailable),
        (httpx.ProxyError, Unavailable),
        (httpx.LocalProtocolError, ModelUnusable),
        (httpx.UnsupportedProtocol, ModelUnusable),
        (httpx.DecodingError, ModelUnusable),
        (httpx.InvalidURL, ModelUnusable),
    ],
)
def test_what_repeating_may_help_is_repeated(kind: type[Exception], expected: type[Exception]):
    failure = failure_of_exception(kind("reason"), "m")
    assert type(failure.error if isinstance(failure, AttemptFailed) else failure) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (408, Unavailable),
        (425, Unavailable),
        (429, Overloaded),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (529, Unavailable),
        (204, ModelUnusable),
        (301, ModelUnusable),
        (400, ModelUnusable),
        (401, ModelUnusable),
        (404, ModelUnusable),
        (413, ModelUnusable),
    ],
)
def test_statuses_are_translated_from_one_table(status: int, expected: type[Exception]):
    failure = failure_of_status(status, httpx.Headers(), '{"error":\n  "why"}', "m")
    error = failure.error if isinstance(failure, AttemptFailed) else failure
    assert type(error) is expected
    assert str(error) == f'm: HTTP {status}: {{"error": "why"}}'


def test_long_and_empty_bodies_make_short_messages():
    assert len(str(failure_of_status(400, httpx.Headers(), "x" * 10_000, "m"))) < 400
    assert str(failure_of_status(400, httpx.Headers(), "", "m")) == "m: HTTP 400: (empty body)"


def test_a_stated_wait_reaches_the_error_and_the_policy():
    failure = failure_of_status(503, httpx.Headers({"Retry-After": "12"}), "", "m")
    assert isinstance(failure, AttemptFailed)
    assert (failure.stated_wait_s, failure.error.retry_after_s) == (12.0, 12.0)
    unstated = failure_of_status(503, httpx.Headers(), "", "m")
    assert isinstance(unstated, AttemptFailed)
    assert (unstated.stated_wait_s, unstated.error.retry_after_s) == (None, 1.0)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:29:30 GMT", "Date": NOW}, 90.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:29:30 -0000", "Date": NOW}, 90.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:27:00 GMT", "Date": NOW}, 0.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:29:30 GMT"}, None),
        ({"Retry-After": "Wed, 99 Oct 2026 07:29:30 GMT", "Date": NOW}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(headers: dict[str, str], expected: float | None):
    assert stated_wait_s(httpx.Headers(headers)) == expected
