"""A recall whose answer is constant: what is left of its latency is the transport's, which benchmarks compare with."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from lorebank import wire
from serve_app.body import JsonRoute
from serve_app.request_context import json_response

router = APIRouter(route_class=JsonRoute, tags=["benchmark"])

RESULTS = 10


def _result(number: int) -> dict[str, Any]:
    return {
        "id": f"00000000-0000-8000-8000-{number:012d}",
        "text": f"Turn {number}: a sentence about as long as turns of a conversation between two people usually are.",
        "type": "world",
        "kind": "chunk",
        "entities": [],
        "context": None,
        "occurred_start": None,
        "occurred_end": None,
        "mentioned_at": "2024-01-15T10:30:00.000000Z",
        "document_id": "stub",
        "metadata": {"speaker": "Stub"},
        "chunk_id": f"00000000-0000-8000-8000-{number:012d}",
        "tags": ["stub"],
        "source_fact_ids": None,
        "speaker": "Stub",
        "scores": {"final": 0.9 - number / 100, "reranker": None, "semantic": 0.5, "keyword": 0.25},
    }


ANSWER: dict[str, Any] = {
    "results": [_result(number) for number in range(RESULTS)],
    "trace": None,
    "entities": {},
    "chunks": None,
    "source_facts": None,
    "source_facts_truncated": None,
}


@router.post("/v1/_stub/recall", response_model=wire.RecallResponse, include_in_schema=False)
async def recall_constant(body: wire.RecallRequest) -> Response:
    """Parse the request as recall does, look at nothing, answer as recall would."""
    del body
    return json_response(ANSWER)
