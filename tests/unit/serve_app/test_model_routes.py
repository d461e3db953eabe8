"""Directives and mental models over HTTP: shapes, statuses, what is refused; and reflections as a stream."""

import json

import pytest
from hindsight_client_api import models

from actors.settings import Settings
from memory.errors import Overloaded
from serve_app.api import build_api
from serve_app.reflections import REFLECTING_MOST
from tests.support.fake_bank_client import FakeBankClient
from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"
RULE = {"name": "polite", "content": "Be polite."}
MODEL = {"name": "Tea", "source_query": "What about tea?"}


def test_directives_are_as_the_client_reads_them(http: Http) -> None:
    made = models.DirectiveResponse.from_dict(http.post(f"{BANK}/directives", json=RULE).json())
    assert (made.bank_id, made.priority, made.is_active, made.tags) == ("alice", 0, True, [])
    tagged = http.post(f"{BANK}/directives", json={**RULE, "name": "work", "tags": ["work"], "priority": 5}).json()
    listed = http.get(f"{BANK}/directives").json()
    assert [row["name"] for row in listed["items"]] == ["work", "polite"]
    assert [row["name"] for row in http.get(f"{BANK}/directives?tags=home").json()["items"]] == ["polite"]
    http.call("PATCH", f"{BANK}/directives/{tagged['id']}", json={"is_active": False})
    assert http.get(f"{BANK}/directives?active_only=true").json()["total"] == 1
    assert http.call("DELETE", f"{BANK}/directives/{tagged['id']}").json()["success"]
    for method, body in (("GET", None), ("PATCH", {"priority": 1}), ("DELETE", None)):
        assert http.call(method, f"{BANK}/directives/{tagged['id']}", json=body).status_code == 404
    answer = http.post(f"{BANK}/reflect", json={"query": "tea?", "include": {"facts": {}}}).json()
    assert [rule["name"] for rule in answer["based_on"]["directives"]] == ["polite"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("directives", {"name": "", "content": "x"}),
        ("directives", {"name": "x"}),
        ("directives", {"name": "x", "content": "y" * 8001}),
        ("mental-models", {"name": "x"}),
        ("mental-models", {**MODEL, "id": "Not An Id"}),
        ("mental-models", {**MODEL, "max_tokens": 10}),
        ("mental-models", {**MODEL, "trigger": {"refresh_cron": "61 * * * *"}}),
        ("mental-models", {**MODEL, "trigger": {"refresh_cron": "* * * * * *"}}),
        ("mental-models", {**MODEL, "trigger": {"response_schema": {"type": "words"}}}),
        ("mental-models", {**MODEL, "trigger": {"mode": "half"}}),
        ("reflect", {"query": "x", "response_schema": {"$ref": "http://evil.example"}}),
    ],
)
def test_what_cannot_be_is_refused(http: Http, path: str, body: object) -> None:
    assert http.post(f"{BANK}/{path}", json=body).status_code == 422


def test_mental_models_are_as_the_client_reads_them(http: Http) -> None:
    given = {**MODEL, "id": "tea", "tags": ["x"], "trigger": {"tag_groups": [{"tags": ["x"]}], "mode": "delta"}}
    made = http.post(f"{BANK}/mental-models", json=given)
    assert models.CreateMentalModelResponse.from_dict(made.json()).mental_model_id == "tea"
    assert http.post(f"{BANK}/mental-models", json=given).status_code == 409
    found = models.MentalModelResponse.from_dict(http.get(f"{BANK}/mental-models/tea").json())
    assert (found.content, found.is_stale, found.trigger.mode) == ("", True, "delta")
    row = http.get(f"{BANK}/mental-models?tags=x").json()["items"][0]
    assert "content" not in row
    assert http.get(f"{BANK}/mental-models?tags=y&tags_match=any_strict").json()["total"] == 0
    queued = http.call("POST", f"{BANK}/mental-models/tea/refresh").json()
    assert queued == {"operation_id": made.json()["operation_id"], "status": "pending"}
    status = http.get(f"{BANK}/operations/{queued['operation_id']}").json()
    assert (status["status"], status["task_type"]) == ("pending", "refresh_mental_model")
    assert http.call("PATCH", f"{BANK}/mental-models/tea", json={}).status_code == 400
    preview = http.call("POST", f"{BANK}/mental-models/tea/dry-run-refresh").json()
    read = models.MentalModelDryRunRefreshResult.from_dict(preview)
    assert (read.requested_mode, read.effective_mode) == ("delta", "full")
    assert read.mode_fallback_reason
    assert http.get(f"{BANK}/mental-models/tea/history").json() == []
    assert http.call("DELETE", f"{BANK}/mental-models/tea").json()["success"]
    assert http.get(f"{BANK}/mental-models/tea/history").status_code == 404


def test_a_reflection_can_be_watched(retained: Http) -> None:
    answer = retained.post(f"{BANK}/reflect", json={"query": "Where is the key?", "stream": True})
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [event.split("\n", 1) for event in answer.text.strip().split("\n\n")]
    assert [name for name, _ in events] == ["event: step", "event: answer"]
    said = json.loads(events[-1][1].removeprefix("data: "))
    assert "flower" in said["text"]
    assert said["mode"] == "extractive"


def test_an_error_on_the_way_ends_the_stream_as_an_event(settings: Settings) -> None:
    async def watch(scope, question):
        from actors.reflecting import Progress

        yield Progress("look")
        raise Overloaded("too many", 2.0)

    with Http(build_api(FakeBankClient(settings), settings, watch)) as http:
        answer = http.post(f"{BANK}/reflect", json={"query": "x", "stream": True})
        assert answer.text.split("\n\n")[1].startswith('event: error\ndata: {"type"')
        assert http.post(f"{BANK}/reflect", json={"query": "x"}).status_code == 429


def test_a_replica_waits_for_so_many_reflections(settings: Settings) -> None:
    import asyncio

    from actors.reflecting import Progress
    from memory.ids import Scope
    from memory.reflecting.port import Answered, Question
    from serve_app.reflections import Reflections

    async def scenario() -> None:
        gate = asyncio.Event()

        async def watch(scope, question):
            yield Progress("look")
            await gate.wait()
            yield Answered("x", "llm")

        reflections = Reflections(watch)

        async def answer(reflections: Reflections) -> Answered:
            return [event async for event in reflections.watch(Scope("t", "b"), Question("x"))][-1]

        waiting = [asyncio.create_task(answer(reflections)) for _ in range(REFLECTING_MOST)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await answer(reflections)
        gate.set()
        assert [done.text for done in await asyncio.gather(*waiting)] == ["x"] * REFLECTING_MOST
        assert (await answer(reflections)).text == "x"

    asyncio.run(scenario())
