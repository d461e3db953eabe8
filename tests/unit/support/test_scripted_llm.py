"""The scripted chat endpoint: answers by its rule, faults by rate and seed, a switch for down, counts."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.support.scripted_llm import FAULTS, Behaviour, ScriptedLlm, answer_of, expected_facts, tokens_of


@pytest.fixture
def llm() -> Iterator[ScriptedLlm]:
    server = ScriptedLlm()
    yield server
    server.stop()


ASKED = {"windows": [{"id": "w1", "turns": [{"i": 0, "who": "Ana", "text": "I met Ben. It rained."}]}]}


def request(**changes: object) -> dict:
    return {"model": "m", "messages": [{"role": "user", "content": json.dumps(ASKED)}], **changes}


def ask(llm: ScriptedLlm, timeout_s: float = 30.0, **changes: object) -> httpx.Response:
    url = f"{llm.url}/chat/completions"
    return httpx.post(url, json=request(**changes), timeout=timeout_s, trust_env=False, verify=False)


def test_the_rule_finds_each_sentence():
    assert expected_facts(["I met Ben. It rained!", "Why?"]) == [(0, "I met Ben."), (0, "It rained!"), (1, "Why?")]
    (window,) = answer_of(ASKED)["windows"]
    assert [fact["text"] for fact in window["facts"]] == ["I met Ben.", "It rained."]
    assert window["count"] == 2
    assert window["facts"][0]["entities"] == [{"name": "Ben", "type": "concept"}]


def test_a_call_is_answered_by_the_rule_and_counted(llm):
    response = ask(llm)
    body = response.json()
    assert response.status_code == 200
    assert json.loads(body["choices"][0]["message"]["content"]) == answer_of(ASKED)
    assert body["usage"]["prompt_tokens"] == tokens_of(request()) == llm.counts["prompt_tokens"]
    assert llm.counts["calls"] == llm.counts["good"] == 1
    assert llm.requests == [request()]


def test_models_are_listed(llm):
    body = httpx.get(f"{llm.url}/models", trust_env=False).json()
    assert [model["id"] for model in body["data"]] == ["scripted"]


def outcome(llm: ScriptedLlm, timeout_s: float = 30.0) -> object:
    """What a client sees of a call: status, finish reason and how the text reads, or how it failed."""
    try:
        response = ask(llm, timeout_s)
    except httpx.HTTPError as exc:
        return type(exc)
    if response.status_code != 200:
        return response.status_code, response.headers.get("Retry-After")
    (choice,) = response.json()["choices"]
    text = choice["message"]["content"]
    try:
        read = json.loads(text or "")
    except ValueError:
        read = None
    return choice["finish_reason"], bool(text), read == answer_of(ASKED), choice["message"].get("refusal") is not None


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("rate_limited", (429, "2")),
        ("server_error", (500, None)),
        ("hang", httpx.ReadTimeout),
        ("truncated", ("length", True, False, False)),
        ("malformed", ("stop", True, False, False)),
        ("prose", ("stop", True, False, False)),
        ("wrong_schema", ("stop", True, False, False)),
        ("refusal", ("stop", False, False, True)),
        ("empty", ("stop", False, False, False)),
        ("reset", httpx.ReadError),
        ("cut_body", httpx.RemoteProtocolError),
        ("forgets", ("stop", True, True, False)),
    ],
)
def test_each_fault_looks_like_itself(llm, fault, expected):
    llm.behave(rates={fault: 1.0}, retry_after_s=2.0)
    assert outcome(llm, 0.3 if fault == "hang" else 30.0) == expected
    assert llm.counts[fault] == 1


def test_every_fault_is_looked_at_above():
    (mark,) = test_each_fault_looks_like_itself.pytestmark
    assert {fault for fault, _ in mark.args[1]} == set(FAULTS)


def test_faults_follow_from_rate_and_seed():
    def faults(seed: int) -> list[str | None]:
        server = ScriptedLlm(Behaviour(rates={"empty": 0.2, "hang": 0.1}, seed=seed))
        try:
            return [server.next_fault() for _ in range(2000)]
        finally:
            server.stop()

    first = faults(1)
    assert first == faults(1)
    assert first != faults(2)
    assert 340 <= first.count("empty") <= 460
    assert 150 <= first.count("hang") <= 250


def test_down_breaks_every_connection_until_it_is_up_again(llm):
    llm.behave(down=True)
    assert outcome(llm) is httpx.ReadError
    llm.behave(down=False)
    assert outcome(llm) == ("stop", True, True, False)
    assert llm.counts["calls"] == 1


def test_answers_take_as_long_as_they_should(llm):
    """A call that may wait less than the latency gets nothing."""
    llm.behave(latency_s=60.0)
    assert outcome(llm, 0.3) is httpx.ReadTimeout


@pytest.mark.parametrize(("form", "status"), [("json_schema", 200), ("json_object", 400)])
def test_formats_that_it_does_not_know_are_refused(llm, form, status):
    llm.behave(formats=("json_schema",))
    assert ask(llm, response_format={"type": form, "json_schema": {"schema": {}}}).status_code == status


def test_a_wrong_key_is_refused(llm):
    llm.behave(api_key="right")
    assert ask(llm).status_code == 401


def test_many_callers_at_once_are_all_counted(llm):
    callers = [threading.Thread(target=ask, args=(llm,)) for _ in range(20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert llm.counts["good"] == 20


def test_it_runs_as_a_program_and_is_steered_from_outside():
    command = [sys.executable, "-m", "tests.support.scripted_llm", "--port", "0", "--fault", "server_error=1.0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().removeprefix("ready ").strip().removesuffix("/v1")
            with httpx.Client(base_url=url, trust_env=False) as client:
                assert client.post("/v1/chat/completions", json=request()).status_code == 500
                client.post("/control", json={"rates": {}, "seed": 4})
                assert client.post("/v1/chat/completions", json=request()).status_code == 200
                seen = client.get("/control").json()
            assert seen["seed"] == 4
            assert seen["counts"]["calls"] == 2
        finally:
            process.terminate()
