"""Recall over several banks, by scope and as of an earlier time, on a server as users start it."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from lorebank import Client, ConflictError, wire
from lorebank.cli import app


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    with Client(server_url) as made:
        yield made


@pytest.fixture
def name() -> str:
    return f"stack-{uuid.uuid4()}"


def test_tiers_of_a_scope_are_recalled_together(client: Client, name: str) -> None:
    scope = wire.BankScope(host=name, agent="helper", user="ana")
    client.put_bank(f"{name}/own", scope=scope)
    client.put_bank(f"{name}/host", scope=wire.BankScope(host=name))
    client.retain(f"{name}/own", "My favourite tea is oolong.")
    for bank in ("host", "own"):
        client.retain(f"{name}/{bank}", "The office opens at nine.", document_id="hours")
    answer = client.recall_stack("When does the office open?", scope=scope)
    assert answer.banks == [f"{name}/own", f"{name}/host"]
    assert [(row.bank_id, row.text) for row in answer.results[:2]] == [
        (f"{name}/own", "The office opens at nine."),
        (f"{name}/host", "The office opens at nine."),
    ]
    others = client.recall_stack("What is the favourite tea?", scope={"host": name, "user": "ben"})
    assert [row.text for row in others.results] == ["The office opens at nine."]
    with pytest.raises(ConflictError):
        client.put_bank(f"{name}/second", scope=scope)
    client.delete_bank(f"{name}/own")
    assert client.recall_stack("tea?", scope=scope).banks == [f"{name}/host"]


def test_the_command_line_looks_in_several_banks(client: Client, name: str, server_url: str) -> None:
    client.retain(f"{name}-a", "The spare key is under the pot.")
    client.retain(f"{name}-b", "The car is in the garage.")
    banks = ["--bank", f"{name}-a", "--bank", f"{name}-b", "--bank", f"{name}-c"]
    shown = CliRunner().invoke(app, ["recall", *banks, "where is the key", "--url", server_url, "--json"])
    assert shown.exit_code == 0, shown.output
    answer = wire.RecallResponse.model_validate_json(shown.output)
    assert [row.bank_id for row in answer.results] == [f"{name}-a", f"{name}-b"]
    assert answer.missing_banks == [f"{name}-c"]


def test_a_bank_is_recalled_as_it_stood(client: Client, name: str) -> None:
    def tell(text: str, document_id: str) -> None:
        message = wire.Message(role="user", name="Ana", content=text)
        assert client.retain(name, [message], document_id=document_id, wait_for="extracted").stage == "extracted"

    def shown(**options: str) -> tuple[set[str], set[str], bool | None]:
        answer = client.recall(name, "Where does Ana live?", **options)
        facts = {fact.text for row in answer.results for fact in row.facts or []}
        return {row.text for row in answer.results}, facts, answer.history_incomplete

    tell("I live in Paris.", "before")
    between = datetime.now(UTC).isoformat()
    tell("I moved to Rome.", "after")
    assert shown() == ({"I live in Paris.", "I moved to Rome."}, {"Ana moved to Rome"}, None)
    assert shown(as_of=between) == ({"I live in Paris."}, {"Ana lives in Paris"}, False)
    assert shown(as_of="2020-01-01") == (set(), set(), False)
    client.delete_document(name, "after")
    assert shown(as_of=between) == ({"I live in Paris."}, {"Ana lives in Paris"}, True)


def test_a_recall_rests_on_what_was_acknowledged(client: Client, name: str) -> None:
    seq = client.retain(name, "The spare key is under the pot.").seq
    assert client.recall(name, "key", min_seq=seq).stale is False
    assert client.recall(name, "key", min_seq=(seq or 0) + 10_000).stale is True
