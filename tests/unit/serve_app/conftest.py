"""The HTTP application over a client of dictionaries, called in process."""

from collections.abc import Iterator

import pytest

from actors.settings import Settings
from serve_app.api import build_api
from tests.support.fake_bank_client import FakeBankClient
from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"


@pytest.fixture
def settings() -> Settings:
    return Settings(request_timeout_s=5.0)


@pytest.fixture
def banks(settings: Settings) -> FakeBankClient:
    return FakeBankClient(settings)


@pytest.fixture
def http(banks: FakeBankClient, settings: Settings) -> Iterator[Http]:
    with Http(build_api(banks, settings)) as calls:
        yield calls


@pytest.fixture
def retained(http: Http) -> Http:
    """A bank with two documents: notes about tea, and a dialogue of two turns."""
    items = [
        {"content": "Alice drinks green tea every morning.", "document_id": "notes", "tags": ["food", "home"]},
        {
            "content": [
                {"role": "user", "name": "Bob", "content": "Where is the spare key?"},
                {"role": "assistant", "content": "Under the blue flower pot."},
            ],
            "document_id": "chat/1",
            "timestamp": "2024-03-01T09:00:00Z",
            "metadata": {"source": "phone"},
        },
    ]
    assert http.post(f"{BANK}/memories", json={"items": items}).status_code == 200
    return http
