import json
from types import ModuleType

import httpx
import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError
from qdrant_client.common import client_exceptions
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http import exceptions
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from memory.errors import (
    BadSettings,
    LorebankError,
    OperatorAction,
    Overloaded,
    RetryLater,
    StoreDamaged,
    StoreLocked,
    TooLarge,
    Unavailable,
    Unprocessable,
)
from memory.filters import AnyOf
from memory.records import Record, RecordKind
from memory.store_calls import GetUnits, InsertUnits, Lane, ListUnits, SearchLanes, WriteRecords
from storage.edge_errors import EDGE_TABLE, translate_edge
from storage.server_errors import CLIENT_TABLE, find_client, translate_client
from tests.support.builders import fresh_scope, new_unit


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Service runtime error: Can't init WAL: Kind(WouldBlock)", StoreLocked),
        ("Service runtime error: Shard is not initialized", Unavailable),
        ("Vector dimension error: expected dim: 32, got 31", Unprocessable),
        ("failed to parse x as UUID: invalid length: found 3", Unprocessable),
        ("failed to extract enum Helper ('String | Integer')", Unprocessable),
        ("'utf-8' codec can't encode character '\\ud800': surrogates not allowed", Unprocessable),
        ("Integer exceeds 64-bit range", Unprocessable),
        ("Failed to decompress LZ4", StoreDamaged),
        ("Can't load segment", StoreDamaged),
        ("Can't init WAL: Kind(InvalidData)", StoreDamaged),
        ("No such file or directory (os error 2)", StoreDamaged),
        ("no one has seen this before", StoreDamaged),
        ("", StoreDamaged),
    ],
)
def test_what_the_engine_says_becomes_one_of_our_errors(text: str, error: type[LorebankError]):
    made = translate_edge(Exception(text))
    assert type(made) is error
    assert text in str(made)


def test_every_row_of_the_table_is_reached():
    """A row behind a broader one would never count."""
    samples = [
        "WouldBlock",
        "Shard is not initialized",
        "elements range 1..2 is out of bounds, file contains 0 elements",
        "Corrupted ID tracker mapping storage",
        "dimension",
        "failed to parse",
        "failed to open WAL",
        "Failed to decompress LZ4 value",
        "failed to load segment",
        "corrupt",
    ]
    for text, (_, error, meaning, remedy) in zip(samples, EDGE_TABLE, strict=True):
        made = translate_edge(Exception(text), "data/units")
        assert type(made) is error
        assert str(made).startswith(f"data/units: {meaning}: {text}")
        assert str(made).endswith(remedy)


@pytest.mark.parametrize(
    "call",
    [
        lambda scope: GetUnits(("no-id",)),
        lambda scope: ListUnits(5, where=AnyOf("tags", ("\ud800",))),
        lambda scope: WriteRecords((Record(RecordKind.OPERATION, "\ud800", {}),)),
        lambda scope: InsertUnits((new_unit(scope, "plain", tags=("\ud800",)),)),
        lambda scope: SearchLanes((Lane(5, dense=np.ones(3, np.float32)),)),
    ],
)
@pytest.mark.parametrize("engine", ["edge", "wired"], indirect=True)
def test_a_value_the_engine_cannot_take_is_the_callers(engine, call):
    scope = fresh_scope()
    with pytest.raises(Unprocessable):
        engine.call(scope, call(scope))


@pytest.mark.parametrize("engine", ["edge", "wired"], indirect=True)
def test_the_engines_error_is_the_cause(engine):
    with pytest.raises(Unprocessable) as caught:
        engine.call(fresh_scope(), ListUnits(5, where=AnyOf("tags", ("\ud800",))))
    assert "surrogates" in str(caught.value.__cause__)


# -- the client of a server


def foreign_errors() -> list[BaseException]:
    """One of every class that the client and what it is built on can raise."""
    request = httpx.Request("GET", "http://qdrant.invalid")
    made: list[BaseException] = []
    for kind in classes_of(httpx):
        if issubclass(kind, httpx.HTTPStatusError):
            made.append(kind("m", request=request, response=httpx.Response(500)))
        elif issubclass(kind, httpx.StreamError) and kind is not httpx.StreamError:
            made.append(kind())
        else:
            made.append(kind("m"))
    for kind in client_classes():
        if issubclass(kind, UnexpectedResponse):
            continue
        if issubclass(kind, ResponseHandlingException):
            made += [kind(cause) for cause in (httpx.ReadTimeout("m"), ValueError("m"), invalid())]
        else:
            made.append(kind("m", 3) if issubclass(kind, ResourceExhaustedResponse) else kind("m"))
    made += [invalid(), json.JSONDecodeError("m", "<html>", 0), PydanticSerializationError("m")]
    made += [kind("m") for kind in (ValueError, KeyError, TypeError, OSError, RuntimeError, NotImplementedError)]
    made += [kind("m") for kind in (TimeoutError, ConnectionResetError, AssertionError, OverflowError)]
    return made


def classes_of(module: ModuleType) -> list[type[BaseException]]:
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, BaseException)]
    return sorted(
        {kind for kind in found if kind.__module__.startswith(module.__name__)}, key=lambda kind: kind.__name__
    )


def client_classes() -> list[type[BaseException]]:
    """Every class of the client itself; those of gRPC are not here, for it is not used."""
    found = {kind for module in (client_exceptions, exceptions) for kind in classes_of(module)}
    return sorted(found, key=lambda kind: kind.__name__)


def invalid() -> ValidationError:
    try:
        TypeAdapter(int).validate_python("no number")
    except ValidationError as exc:
        return exc
    raise AssertionError


def answered(status: int, error: str = "") -> UnexpectedResponse:
    return UnexpectedResponse(status, "", json.dumps({"status": {"error": error}}).encode(), httpx.Headers())


@pytest.mark.parametrize("exc", foreign_errors(), ids=lambda exc: type(exc).__name__)
def test_every_error_of_the_client_has_a_row(exc):
    found = find_client(exc)
    assert found is not None
    assert type(found) is type(translate_client(exc))


@pytest.mark.parametrize("status", [*range(300, 308), *range(400, 452), *range(500, 512), 599])
def test_every_status_has_a_row_and_only_load_and_time_are_retried_below_500(status):
    found = find_client(answered(status))
    assert found is not None
    retried = status >= 500 or status in {408, 429}
    assert isinstance(found, RetryLater) == retried
    if status in {401, 403}:
        assert isinstance(found, OperatorAction)
        assert "LOREBANK_QDRANT_API_KEY" in str(found)


@pytest.mark.parametrize(
    ("exc", "error"),
    [
        (answered(400, "Wrong input: Vector dimension error: expected dim: 32, got 31"), Unprocessable),
        (answered(400, "Format error in JSON body: unknown field"), StoreDamaged),
        (answered(422, "Validation error"), StoreDamaged),
        (answered(404, "Not found: Collection `lorebank-records` doesn't exist!"), StoreDamaged),
        (answered(404, ""), BadSettings),
        (answered(413, "Payload too large"), TooLarge),
        (answered(429, "rate limit"), Overloaded),
        (ResourceExhaustedResponse("busy", 9), Overloaded),
        (answered(503, "upstream"), Unavailable),
        (ResponseHandlingException(httpx.ConnectError("refused")), Unavailable),
        (ResponseHandlingException(httpx.PoolTimeout("busy")), Unavailable),
        (ResponseHandlingException(httpx.UnsupportedProtocol("ftp")), BadSettings),
        (ResponseHandlingException(RuntimeError("Cannot send a request, as the client has been closed.")), Unavailable),
        (RuntimeError("QdrantLocal instance is closed. Please create a new instance."), Unavailable),
        (ValueError("Collection lorebank-records not found"), StoreDamaged),
        (ValueError("Vector contains NaN values"), Unprocessable),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), Unprocessable),
        (Exception("no one has seen this before"), StoreDamaged),
    ],
    ids=str,
)
def test_what_the_client_raises_becomes_one_of_our_errors(exc, error):
    assert type(translate_client(exc)) is error


def test_how_long_to_wait_is_passed_on():
    assert translate_client(ResourceExhaustedResponse("busy", 9)).retry_after_s == 9


def test_every_row_of_the_clients_table_counts():
    """A row behind a broader one would never."""
    for number, (kind, pattern, _, _) in enumerate(CLIENT_TABLE):
        before = CLIENT_TABLE[:number]
        assert not [row for row in before if issubclass(kind, row[0]) and row[1] in {"", pattern}], kind


def test_the_local_engines_refusals_are_translated(local):
    with pytest.raises(Unprocessable):
        local.call(fresh_scope(), GetUnits(("no-id",)))
    with pytest.raises(Unprocessable):
        local.call(fresh_scope(), SearchLanes((Lane(5, dense=np.ones(3, np.float32)),)))
