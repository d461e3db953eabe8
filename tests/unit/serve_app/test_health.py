"""Health, version, metrics, documentation."""

from hindsight_client_api import models

from memory.errors import Unavailable
from tests.support.fake_bank_client import FakeBankClient
from tests.support.http_calls import Http


def test_ready_names_the_parts(http: Http) -> None:
    for path in ("/health", "/health/ready"):
        answer = http.get(path)
        assert answer.status_code == 200
        assert answer.json()["status"] == "healthy"
        assert answer.json()["checks"] == {"hosts": "2 answered", "shards": "1 answered", "ring_version": "1"}


def test_not_ready_is_a_503_but_alive(http: Http, banks: FakeBankClient) -> None:
    banks.failure = Unavailable("storage shard is restarting", 0.2)
    answer = http.get("/health/ready")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert models.LivenessResponse.from_dict(http.get("/health/live").json()).status == "alive"


def test_version(http: Http) -> None:
    parsed = models.VersionResponse.from_dict(http.get("/version").json())
    assert parsed.api_version == "1.1.0"
    assert parsed.features.store_document_text is True


def test_metrics_count_by_route_not_by_bank(http: Http) -> None:
    http.get("/v1/default/banks/secret%2Fname/stats")
    http.get("/nowhere/secret")
    text = http.get("/metrics").text
    assert 'route="/v1/default/banks/{bank_id}/stats",status="200"' in text
    assert 'route="none",status="404"' in text
    assert "secret" not in text


def test_documentation_lists_every_route(http: Http) -> None:
    assert http.get("/docs").status_code == 200
    described = http.get("/openapi.json").json()
    assert "/v1/default/banks/{bank_id}/memories/recall" in described["paths"]
    assert "RecallRequest" in described["components"]["schemas"]
    assert "/v1/_stub/recall" not in described["paths"]
