"""Reflect without a language model: an honest answer with its evidence."""

from typing import Any

from hindsight_client_api import models

from tests.support.fake_bank_client import FakeBankClient
from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"
SCHEMA = {
    "type": "object",
    "properties": {
        "recommendation": {"type": "string"},
        "reasons": {"type": "array", "items": {"type": "string"}},
        "confidence": {"type": ["string", "null"]},
    },
    "required": ["recommendation", "reasons"],
}


def reflect(http: Http, **body: Any) -> models.ReflectResponse:
    answer = http.post(f"{BANK}/reflect", json={"query": "Where is the key?", **body})
    assert answer.status_code == 200, answer.text
    return models.ReflectResponse.from_dict(answer.json())


def test_it_quotes_and_says_so(retained: Http) -> None:
    answer = reflect(retained)
    assert "No language model" in answer.text
    assert "Bob, 2024-03-01: “Where is the spare key?”" in answer.text
    assert answer.based_on is None
    assert answer.trace is None
    assert answer.structured_output is None


def test_it_never_says_nothing(http: Http) -> None:
    assert "remembered" in reflect(http).text
    assert "remembered" in reflect(http, max_tokens=0).text


def test_evidence_and_trace_when_asked_for(retained: Http) -> None:
    answer = reflect(retained, include={"facts": {}, "tool_calls": {}})
    assert len(answer.based_on.memories) == 3
    assert answer.based_on.mental_models == answer.based_on.directives == []
    call = answer.trace.tool_calls[0]
    assert call.tool == "recall"
    assert call.duration_ms >= 0
    assert len(call.output["memories"]) == 3
    assert reflect(retained, include={"tool_calls": {"output": False}}).trace.tool_calls[0].output is None


def test_structured_output_satisfies_the_schema(retained: Http, http: Http) -> None:
    output = reflect(retained, response_schema=SCHEMA).structured_output
    assert output["recommendation"]
    assert all(isinstance(reason, str) for reason in output["reasons"])
    assert output["confidence"] is None or isinstance(output["confidence"], str)


def test_a_schema_that_cannot_be_filled_says_why(retained: Http) -> None:
    answer = reflect(retained, response_schema={"type": "string"})
    assert answer.structured_output is None
    assert "object" in answer.structured_output_error


def test_context_is_read_as_part_of_the_query(retained: Http, banks: FakeBankClient) -> None:
    reflect(retained, context="asked at the front door")
    assert banks.queries[-1].query == "Where is the key?\nasked at the front door"


def test_filters_apply(retained: Http) -> None:
    assert "flower" not in reflect(retained, tags=["food"], tags_match="any_strict").text
    assert "tea" not in reflect(retained, fact_types=["experience"]).text
    assert reflect(retained, max_tokens=6, include={"facts": {}}).based_on.memories
