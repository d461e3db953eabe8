"""Retaining and asking a small dialogue over HTTP."""

from datetime import UTC, datetime

import orjson
import pytest

from loadtests.dialogue import Question, Session, Turn, read_conversations
from loadtests.floors import RecallFloor
from loadtests.locomo_traffic import (
    STUB_PATH,
    BankPlan,
    line_of,
    ranking_of,
    recall_all,
    recall_body,
    retain_all,
    retain_body,
)
from loadtests.scoring import Hit
from lorebank import wire
from lorebank.testing import Fault
from providers.hash_embedder import HashEmbedder


@pytest.fixture
def plans(dialogue_file):
    embedder = HashEmbedder(16)
    return [
        BankPlan(one.conversation_id, one, RecallFloor(embedder, embedder.embed([turn.text for turn in one.turns])))
        for one in read_conversations(dialogue_file)
    ]


def nothing():
    pass


def test_a_session_is_one_document_with_an_item_a_turn_and_blank_turns_are_left_out(plans):
    body = retain_body(plans[0].conversation.sessions[:1], "op-1")
    assert body["operation_id"] == "op-1"
    assert body["items"][1] == {
        "content": "I bought a blue kayak.",
        "timestamp": "2024-03-01T09:30:00+00:00",
        "document_id": "session-1",
        "metadata": {"speaker": "Ben", "dia_id": "D1:2"},
    }
    assert len(body["items"]) == 2
    wire.RetainRequest.model_validate(body)


def test_what_a_turn_does_not_have_is_not_sent(plans):
    session = Session(1, None, (Turn("D1:1", None, "A note.", None), Turn("D1:2", None, "Hi!", None, "assistant")))
    assert [item["metadata"] for item in retain_body([session], "op")["items"]] == [
        {"dia_id": "D1:1"},
        {"role": "assistant", "dia_id": "D1:2"},
    ]
    assert not any("timestamp" in item for item in retain_body([session], "op")["items"])
    asked = Question("When?", 2, frozenset({"D1:1"}), datetime(2024, 5, 1, tzinfo=UTC))
    assert recall_body(asked) == {"query": "When?", "query_timestamp": "2024-05-01T00:00:00+00:00"}
    wire.RecallRequest.model_validate(recall_body(asked))


def test_every_session_is_one_request_and_every_question_is_asked(server, plans):
    advanced = []
    retained = retain_all(server.url, plans, 2, lambda: advanced.append("session"), request_items=2)
    assert (retained.items, len(retained.latencies_ms), retained.failures) == (8, 4, [])
    assert sorted(server.banks["talk-1"].documents) == ["session-1", "session-2"]
    server.received.clear()
    recalled = recall_all(server.url, plans, lambda: advanced.append("question"))
    assert advanced == ["session"] * 4 + ["question"] * 4
    assert [category for category, _ in recalled.scored] == [1, 4, 1, 4]
    assert all(scores["R@5"] == 1 for _, scores in recalled.scored)
    assert [len(one) for one in (recalled.recall_ms, recalled.stub_ms, recalled.floor_ms)] == [4, 4, 4]
    measured = server.received[-8:]
    assert [request.path == STUB_PATH for request in measured] == [True, False] * 4
    assert orjson.loads(measured[0].body) == orjson.loads(measured[1].body) == {"query": "What happened to the kettle?"}


def test_a_failed_request_is_told_and_its_question_scores_zero(server, plans):
    server.faults.append(Fault(500))
    retained = retain_all(server.url, plans, 1, nothing, request_items=2)
    assert len(retained.failures) == 1
    assert "500" in retained.failures[0]
    assert retained.items == 8 - 2
    assert len(retained.latencies_ms) == 3


def test_a_refused_retain_is_sent_again(server, plans):
    server.faults.append(Fault(429, {"retry-after": "0"}))
    retained = retain_all(server.url, plans[:1], 1, nothing, request_items=2)
    assert (retained.items, retained.refused, retained.failures) == (4, 1, [])


def test_results_become_hits_priced_as_dated_lines():
    results = [
        wire.RecallResult(
            id="1", text="hello", mentioned_at="2024-03-01T09:30:00Z", metadata={"dia_id": "D1:1", "speaker": "Ada"}
        ),
        wire.RecallResult(id="2", text="a fact", speaker="Ben", metadata={"dia_id": "D1:2, D1:3"}),
        wire.RecallResult(id="3", text="abcd"),
    ]
    assert ranking_of(wire.RecallResponse(results=results)) == [
        Hit(("D1:1",), len("[2024-03-01] Ada: hello") / 4),
        Hit(("D1:2", "D1:3"), len("Ben: a fact") / 4),
        Hit((), 1.0),
    ]
    assert line_of("2024-03-01", "Ada", "hello") == "[2024-03-01] Ada: hello"


def test_sessions_share_a_request_up_to_its_items(server, plans):
    retained = retain_all(server.url, plans, 1, nothing)
    assert (retained.items, len(retained.latencies_ms)) == (8, 2)
    assert sorted(server.banks["talk-1"].documents) == ["session-1", "session-2"]
