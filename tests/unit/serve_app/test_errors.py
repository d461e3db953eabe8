"""Every error has a status, every answer encodes, nothing of the server's inside leaks."""

import inspect
import json
import logging

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from memory import errors
from serve_app.errors import response_of, status_of
from tests.support.fake_bank_client import FakeBankClient
from tests.support.http_calls import Http

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.LorebankError)]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_the_status_its_branch_promises(kind: type[errors.LorebankError]) -> None:
    status, title = status_of(kind("said"))
    assert title
    if issubclass(kind, errors.InvalidRequest):
        assert 400 <= status < 500
    elif issubclass(kind, errors.Overloaded):
        assert status == 429
    elif issubclass(kind, (errors.RetryLater, errors.Stale)):
        assert status == 503
    else:
        assert status == 500


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequest("x"), 400),
        (errors.Unauthorized("x"), 401),
        (errors.Forbidden("x"), 403),
        (errors.NotFound("x"), 404),
        (errors.Conflict("x"), 409),
        (errors.TooLarge("x"), 413),
        (errors.Unprocessable("x"), 422),
        (errors.Overloaded("x", 0.01), 429),
        (errors.Unavailable("x", 2.1), 503),
        (errors.DeadlineExceeded("x"), 503),
        (errors.StaleEpoch("x"), 503),
        (errors.StoreDamaged("/secret/path"), 500),
        (RuntimeError("secret"), 500),
        (ValueError("\ud800"), 500),
        (errors.NotFound("no \ud800 here"), 404),
    ],
)
def test_errors_below_a_handler_become_problems(
    http: Http, banks: FakeBankClient, error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    banks.failure = error
    with caplog.at_level(logging.CRITICAL):
        answer = http.get("/v1/default/banks/alice/stats")
    assert answer.status_code == status
    assert "secret" not in answer.text


def test_retry_after_is_whole_seconds_rounded_up() -> None:
    assert response_of(errors.Unavailable("x", 2.1)).headers["retry-after"] == "3"
    assert response_of(errors.Overloaded("x", 0.01)).headers["retry-after"] == "1"
    assert response_of(errors.Overloaded("x", 1e9)).headers["retry-after"] == "3600"


def test_unexpected_errors_are_logged_with_their_trace(caplog: pytest.LogCaptureFixture) -> None:
    error = RuntimeError("the cause")
    with caplog.at_level(logging.ERROR):
        response_of(error)
    assert caplog.records[0].exc_info is not None
    assert caplog.records[0].exc_info[1] is error


def test_validation_problems_never_quote_what_was_sent() -> None:
    found = [{"type": "x", "loc": ("body", "\ud800", 1), "msg": "bad \udfff", "input": float("nan")} for _ in range(30)]
    body = json.loads(response_of(RequestValidationError(found)).body)
    assert len(body["errors"]) == 20
    assert body["detail"].endswith("and 10 more")
    assert "nan" not in body["detail"].lower()


def test_size_limits_of_fields_are_413() -> None:
    found = [{"type": "too_large", "loc": ("body",), "msg": "m"}, {"type": "x", "loc": ("body",), "msg": "m"}]
    assert response_of(RequestValidationError(found)).status_code == 413


def test_unknown_routes_and_methods_are_problems(http: Http) -> None:
    assert http.get("/v1/default/nothing").status_code == 404
    assert http.get("/v1/default/banks/").status_code == 404
    answer = http.call("DELETE", "/health")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
    assert response_of(HTTPException(799, "odd")).status_code == 799
