"""Facts end to end, on a server as users start it: told, found, closed, corrected, gone."""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from lorebank import Client, wire

ANA = "Ana"


@pytest.fixture
def client(server_url: str) -> Iterator[Client]:
    with Client(server_url) as made:
        yield made


@pytest.fixture
def bank() -> str:
    return f"facts-{uuid.uuid4()}"


def tell(client: Client, bank: str, text: str, document_id: str | None = None, name: str = ANA) -> None:
    message = wire.Message(role="user", name=name, content=text)
    told = client.retain(bank, [message], document_id=document_id, wait_for="extracted")
    assert told.stage == "extracted"


def facts(client: Client, bank: str) -> list[str]:
    return sorted(row.text for row in client.list_memories(bank).items if row.kind == "fact")


def test_a_dog_is_found_by_its_breed_with_what_is_known_of_it(client: Client, bank: str) -> None:
    tell(client, bank, "I adopted a golden retriever named Max.")
    tell(client, bank, "The weather is nice.")
    best = client.recall(bank, "Does Ana have a dog?").results[0]
    assert best.text == "I adopted a golden retriever named Max."
    assert [fact.text for fact in best.facts or []] == ["Ana adopted a golden retriever named Max"]


def test_a_preference_is_found_in_a_new_session_and_a_mood_of_the_day_is_none(
    client: Client, bank: str, server_url: str
) -> None:
    tell(client, bank, "I prefer dark mode in all my apps.", "monday")
    tell(client, bank, "I hate meetings today.", "monday-2")
    tell(client, bank, "Hello again!", "tuesday")
    best = client.recall(bank, "what's my preferred theme?").results[0]
    assert "dark mode" in best.text
    assert any("dark mode" in fact.text for fact in best.facts or [])
    profile = httpx.get(f"{server_url}/v1/default/banks/{bank}/profile/memories", timeout=30).json()
    assert [row["text"] for row in profile["categories"]["preference"]] == ["Ana prefers dark mode in all Ana's apps"]


def test_a_document_sent_again_leaves_no_stale_fact_and_without_an_id_it_is_another(client: Client, bank: str) -> None:
    tell(client, bank, "I live in Paris.", "home")
    tell(client, bank, "I live in Rome.", "home")
    assert facts(client, bank) == ["Ana lives in Rome"]
    tell(client, bank, "I own a boat.")
    tell(client, bank, "I own a boat.")
    assert facts(client, bank) == ["Ana lives in Rome", "Ana owns a boat", "Ana owns a boat"]
    client.delete_document(bank, "home")
    assert facts(client, bank) == ["Ana owns a boat", "Ana owns a boat"]


def test_news_closes_what_was_told_before(client: Client, bank: str) -> None:
    tell(client, bank, "I live in Paris.", "before")
    tell(client, bank, "I moved to Rome.", "after")
    shown = {fact.text for row in client.recall(bank, "Where does Ana live?").results for fact in row.facts or []}
    assert shown == {"Ana moved to Rome"}
    names = {item.canonical_name for item in client.list_entities(bank).items}
    assert names == {"Ana", "Paris", "Rome"}
