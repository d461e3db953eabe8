"""Directives and mental models by the SDK and the command line, against the application over dictionaries."""

import asyncio
import inspect

import httpx
import pytest
from typer.testing import CliRunner

from actors.settings import Settings
from lorebank import AsyncClient, NotFoundError, cli_output
from lorebank._models import AsyncDirectives, AsyncMentalModels, Directives, MentalModels
from lorebank._observations import AsyncObservations, Observations
from lorebank.cli import app
from memory.consolidating.commands import ConsolidationReceipt
from memory.records import Record, RecordKind
from serve_app.api import build_api
from tests.support.fake_bank_client import FakeBankClient


@pytest.fixture
def api():
    settings = Settings(request_timeout_s=5.0)
    return build_api(FakeBankClient(settings), settings)


@pytest.mark.parametrize(
    ("plain", "waiting"),
    [(Directives, AsyncDirectives), (MentalModels, AsyncMentalModels), (Observations, AsyncObservations)],
)
def test_both_forms_mirror_each_other(plain, waiting) -> None:
    def methods(kind):
        return {name: one for name, one in vars(kind).items() if inspect.isfunction(one) and name != "__init__"}

    assert list(methods(plain)) == list(methods(waiting))
    for name, method in methods(plain).items():
        assert inspect.signature(method) == inspect.signature(methods(waiting)[name])
        assert method.__doc__ == methods(waiting)[name].__doc__


def test_the_sdk_makes_changes_and_deletes(api) -> None:
    async def scenario() -> None:
        async with AsyncClient("http://lorebank", http=httpx.ASGITransport(api)) as client:
            rule = await client.directives.create("b", "polite", "Be polite.", priority=2, tags=["x"])
            assert (await client.directives.update("b", rule.id, is_active=False)).is_active is False
            assert [one.id for one in (await client.directives.list("b", limit=5)).items] == [rule.id]
            assert (await client.directives.delete("b", rule.id)).success
            made = await client.mental_models.create("b", "Tea", "What about tea?", id="tea", tags=["x"])
            assert made.mental_model_id == "tea"
            assert (await client.mental_models.refresh("b", "tea", "full")).operation_id == made.operation_id
            assert (await client.mental_models.update("b", "tea", name="Drinks")).name == "Drinks"
            assert (await client.mental_models.get("b", "tea")).source_query == "What about tea?"
            assert [one.name for one in (await client.mental_models.list("b")).items] == ["Drinks"]
            assert (await client.mental_models.clear("b", "tea")).content == ""
            assert (await client.mental_models.delete("b", "tea")).success
            with pytest.raises(NotFoundError):
                await client.mental_models.get("b", "tea")

    asyncio.run(scenario())


class _Bridge(httpx.BaseTransport):
    """A synchronous transport over the application."""

    def __init__(self, api) -> None:
        self._api = api

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def call() -> httpx.Response:
            answer = await httpx.ASGITransport(self._api).handle_async_request(
                httpx.Request(request.method, request.url, headers=request.headers, content=request.content)
            )
            return httpx.Response(answer.status_code, headers=answer.headers, content=await answer.aread())

        return asyncio.run(call())


@pytest.fixture
def run(api, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    real = cli_output.Client
    monkeypatch.setattr(cli_output, "Client", lambda url, **given: real(url, **given, http=_Bridge(api)))

    def invoke(*arguments: str):
        answer = CliRunner().invoke(app, arguments)
        assert answer.exit_code == 0, answer.output
        return answer.output

    return invoke


def test_the_command_line_does_too(run) -> None:
    said = run("directive", "add", "b", "polite", "Be polite.", "--priority", "3", "--tag", "x")
    rule = said.split()[-1]
    assert "Be polite." in run("directive", "list", "b")
    run("directive", "set", "b", rule, "--inactive")
    assert '"is_active": false' in run("directive", "list", "b", "--json")
    assert "deleted" in run("directive", "delete", "b", rule, "--yes")
    assert "model tea" in run("model", "add", "b", "Tea", "What about tea?", "--id", "tea", "--follow")
    assert "Tea" in run("model", "list", "b")
    assert "What about tea?" in run("model", "show", "b", "tea")
    assert "operation" in run("model", "refresh", "b", "tea", "--full")
    assert "empty" in run("model", "clear", "b", "tea")
    assert "deleted" in run("model", "delete", "b", "tea", "--yes")


class _Observing:
    """Observations of a bank that is consolidated at once."""

    async def consolidate(self, scope, command) -> ConsolidationReceipt:
        return ConsolidationReceipt("op-1", "pending")

    async def clear(self, scope, command) -> ConsolidationReceipt:
        return ConsolidationReceipt(command.operation_id, "completed", 3)

    async def count_scopes(self, scope) -> list:
        return [(("x",), 2), ((), 1)]


class _Consolidated(FakeBankClient):
    async def find_operation(self, scope, operation_id) -> Record | None:
        body = {"task_type": "consolidation", "status": "completed", "created_at": "2026-01-01T00:00:00Z"}
        return Record(RecordKind.OPERATION, operation_id, body, status="completed")


@pytest.fixture
def consolidated():
    settings = Settings(request_timeout_s=5.0)
    client = _Consolidated(settings)
    client.observing = _Observing()
    return build_api(client, settings)


def test_observations_by_the_sdk(consolidated) -> None:
    async def scenario() -> None:
        async with AsyncClient("http://lorebank", http=httpx.ASGITransport(consolidated)) as client:
            await client.retain("b", "Tea at four.")
            assert (await client.observations.consolidate("b")).operation_id == "op-1"
            assert (await client.observations.clear("b")).deleted_count == 3
            unit = "00000000-0000-8000-8000-000000000000"
            assert (await client.observations.clear_of("b", unit)).deleted_count == 3
            scopes = await client.observations.scopes("b", limit=1)
            assert [(scope.tags, scope.count) for scope in scopes.scopes] == [(["x"], 2)]
            assert scopes.total == 2
            assert (await client.observations.recover("b")).retried_count == 0
            assert (await client.observations.list("b")).total == 0

    asyncio.run(scenario())


def test_a_bank_is_consolidated_from_the_command_line(consolidated, monkeypatch) -> None:
    real = cli_output.Client
    monkeypatch.setattr(cli_output, "Client", lambda url, **given: real(url, **given, http=_Bridge(consolidated)))
    answer = CliRunner().invoke(app, ["consolidate", "b"])
    assert answer.exit_code == 0, answer.output
    assert "completed: 0 observations (operation op-1)" in answer.output
    for wrong in (["consolidate"], ["consolidate", "b", "--all"]):
        assert CliRunner().invoke(app, wrong).exit_code != 0
