"""Operations with stage work behind them, watermarks and lag over HTTP; a scripted stage stands for extraction."""

from collections.abc import Iterator

import pytest
from hindsight_client_api import models

from actors.settings import Settings
from memory.policy import BankPolicy
from memory.stage_commands import StageEnd, StageResult
from serve_app.api import build_api
from tests.support.http_calls import Http
from tests.support.local_client import LocalBankClient

BANK = "/v1/default/banks/alice"
OPERATIONS = f"{BANK}/operations"


async def extract(scope, jobs):
    return [_end(job) for job in jobs]


def _end(job):
    result, reason = (None, "ValueError: no sense in it") if "bad" in job.document.text else (StageResult(), "")
    return StageEnd(job.document.document.id, job.seq, result, reason)


@pytest.fixture
def http(settings: Settings) -> Iterator[Http]:
    policy = BankPolicy(stages=("extract",), stage_attempts=1)
    client = LocalBankClient(settings, ("extract",), policy=policy, stages={"extract": extract})
    with Http(build_api(client, settings)) as calls:
        yield calls


def retain(http: Http, document_id: str, content: str) -> str:
    """Id of the operation of the document's stages, once it has ended."""
    body = {"items": [{"content": content, "document_id": document_id}], "operation_id": f"op-{document_id}"}
    http.post(f"{BANK}/memories", json=body)
    return ended(http, f"op-{document_id}")


def ended(http: Http, parent: str) -> str:
    for _ in range(200):
        (child,) = http.get(f"{OPERATIONS}/{parent}").json()["child_operations"]
        if child["status"] in {"completed", "failed", "cancelled"}:
            break
    return child["operation_id"]


def test_a_failed_stage_is_seen_tried_again_and_forgotten(http: Http) -> None:
    good, bad = retain(http, "good", "fine"), retain(http, "bad", "bad news")
    assert http.get(f"{OPERATIONS}/{good}").json()["status"] == "completed"
    answer = http.get(f"{OPERATIONS}/{bad}").json()
    assert models.OperationStatusResponse.from_dict(answer).status == "failed"
    assert (answer["error_message"], answer["document_id"]) == ("ValueError: no sense in it", "bad")
    assert (answer["progress"]["processed"], answer["progress"]["total"]) == (1, 1)
    listed = http.get(OPERATIONS, params={"status": "failed"}).json()
    assert [row["id"] for row in listed["operations"]] == [bad]
    assert http.get(OPERATIONS).json()["total"] == 4
    assert http.get(OPERATIONS, params={"exclude_parents": True}).json()["total"] == 2
    marks = http.get(f"{BANK}/watermarks").json()
    assert marks["stages"]["extract"] == {"watermark": marks["accepted"], "lag": 0, "pending": 0, "failed_count": 1}
    stats = http.get(f"{BANK}/stats").json()
    assert (stats["failed_operations"], stats["pending_operations"]) == (1, 0)
    assert http.get(f"{BANK}/documents/good").json()["stage"] == "extracted"
    assert http.get(f"{BANK}/documents/bad").json()["stage"] == "accepted"
    for call in (
        ("DELETE", f"{OPERATIONS}/{good}"),
        ("DELETE", f"{OPERATIONS}/{bad}"),
        ("POST", f"{OPERATIONS}/{good}/retry"),
    ):
        assert http.call(*call).status_code == 409
    assert models.RetryOperationResponse.from_dict(http.call("POST", f"{OPERATIONS}/{bad}/retry").json()).success
    ended(http, "op-bad")
    assert models.DeleteOperationResponse.from_dict(http.call("DELETE", f"{OPERATIONS}/{bad}/delete").json()).success
    assert http.get(f"{OPERATIONS}/{bad}").json()["status"] == "not_found"
    for call in (
        ("DELETE", f"{OPERATIONS}/zz"),
        ("POST", f"{OPERATIONS}/zz/retry"),
        ("DELETE", f"{OPERATIONS}/zz/delete"),
    ):
        assert http.call(*call).status_code == 404


def test_what_waits_for_a_stage_is_measured(http: Http) -> None:
    retain(http, "good", "fine")
    text = http.get("/metrics").text
    (pending,) = [line for line in text.splitlines() if line.startswith("lorebank_stage_pending_documents{")]
    assert 'stage="extract"' in pending
    assert any(line.startswith("lorebank_stage_lag_seconds{") and line.endswith(" 1.5") for line in text.splitlines())
