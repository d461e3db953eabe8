"""The chat adapter: what is sent, what comes back, what each failure is called, and that no message holds the key."""

import asyncio
from collections.abc import Iterator

import httpx2
import openai
import pytest

from memory.errors import (
    BadSettings,
    DeadlineExceeded,
    LorebankError,
    ModelUnusable,
    Overloaded,
    Unavailable,
    Unprocessable,
)
from memory.ports import Completion
from providers.openai_errors import TABLE, translate
from providers.openai_llm import TRY_AGAIN_S, ChatEndpoint, OpenAICompatibleModel
from tests.support.scripted_llm import ScriptedLlm
from tests.support.windows import KEY

MESSAGES = [{"role": "user", "content": '{"windows":[]}'}]
SCHEMA = {"type": "object"}


@pytest.fixture
def llm() -> Iterator[ScriptedLlm]:
    server = ScriptedLlm()
    yield server
    server.stop()


def model_of(llm: ScriptedLlm, **given: object) -> OpenAICompatibleModel:
    return OpenAICompatibleModel(ChatEndpoint(base_url=llm.url, model="m", api_key=KEY), **given)


def complete(llm: ScriptedLlm, timeout_s: float = 30.0, **given: object) -> Completion:
    async def run() -> Completion:
        model = OpenAICompatibleModel(ChatEndpoint(base_url=llm.url, model="m", api_key=KEY, **given))
        try:
            return await model.complete(MESSAGES, SCHEMA, max_tokens=77, timeout_s=timeout_s)
        finally:
            await model.close()

    return asyncio.run(run())


def test_what_is_sent_and_what_comes_back(llm):
    assert complete(llm, temperature=0.0) == Completion('{"windows": []}', "stop", 7, 3)
    (sent,) = llm.requests
    assert sent == {
        "model": "m",
        "messages": MESSAGES,
        "max_completion_tokens": 77,
        "temperature": 0.0,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "facts", "strict": True, "schema": SCHEMA},
        },
    }


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("rate_limited", Overloaded),
        ("server_error", Unavailable),
        ("hang", DeadlineExceeded),
        ("reset", Unavailable),
        ("cut_body", Unavailable),
    ],
)
def test_failures_of_the_endpoint_are_named(llm, fault, error, caplog):
    llm.behave(rates={fault: 1.0}, retry_after_s=7.0)
    with pytest.raises(error) as caught:
        complete(llm, timeout_s=0.3 if fault == "hang" else 30.0)
    assert type(caught.value) is error
    assert "m at http://127.0.0.1" in str(caught.value)
    assert KEY not in str(caught.value) + caplog.text
    if fault == "rate_limited":
        assert caught.value.retry_after_s == 7.0


def test_the_key_that_a_server_quotes_is_not_passed_on(llm):
    llm.behave(api_key="another")
    with pytest.raises(ModelUnusable) as caught:
        complete(llm)
    assert "wrong key Bearer [key]" in str(caught.value)


def test_a_refusal_and_a_cut_answer_say_so(llm):
    llm.behave(rates={"refusal": 1.0})
    assert complete(llm).finish == "refusal"
    llm.behave(rates={"truncated": 1.0})
    assert complete(llm).finish == "length"


def test_nobody_listens():
    server = ScriptedLlm()
    server.stop()
    with pytest.raises(Unavailable):
        complete(server)


def test_the_kind_of_answer_that_was_taken_is_kept_and_the_strictest_tried_again_later(llm):
    now_s = 0.0

    async def run() -> None:
        nonlocal now_s
        model = model_of(llm, monotonic=lambda: now_s)
        llm.behave(formats=())
        await model.complete(MESSAGES, SCHEMA, max_tokens=1, timeout_s=30.0)
        assert (model.format, llm.counts["calls"]) == ("text", 3)
        llm.behave(formats=("json_schema", "json_object"))
        await model.complete(MESSAGES, SCHEMA, max_tokens=1, timeout_s=30.0)
        assert (model.format, llm.counts["calls"]) == ("text", 4)
        now_s = TRY_AGAIN_S + 1.0
        await model.complete(MESSAGES, SCHEMA, max_tokens=1, timeout_s=30.0)
        assert (model.format, llm.counts["calls"]) == ("json_schema", 5)
        await model.close()

    asyncio.run(run())


def test_a_request_that_no_kind_of_answer_helps_changes_no_kind(llm):
    llm.behave(max_prompt_tokens=1)

    async def run() -> None:
        model = model_of(llm)
        with pytest.raises(Unprocessable, match="context length"):
            await model.complete(MESSAGES, SCHEMA, max_tokens=1, timeout_s=30.0)
        assert model.format == "json_schema"
        await model.close()

    asyncio.run(run())


def test_an_old_server_is_told_the_bound_by_its_old_name():
    class Old(ScriptedLlm):
        def refusal(self, request: dict) -> str | None:
            return "unknown field max_completion_tokens" if "max_completion_tokens" in request else None

    server = Old()
    try:
        complete(server)
        (sent,) = server.requests
        assert sent["max_tokens"] == 77
        assert server.counts["calls"] == 2
    finally:
        server.stop()


def test_a_ping_is_one_token_without_a_format(llm):
    async def run() -> None:
        model = model_of(llm)
        await model.ping(30.0)
        llm.behave(max_prompt_tokens=0)
        await model.ping(30.0)
        llm.behave(down=True)
        with pytest.raises(Unavailable):
            await model.ping(30.0)
        await model.close()

    asyncio.run(run())
    (sent,) = llm.requests
    assert sent["max_completion_tokens"] == 1
    assert "response_format" not in sent


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"base_url": "ftp://x/v1"}, "http"),
        ({"base_url": "http://user:pass@x/v1"}, "password"),
        ({"base_url": "http://"}, "host"),
        ({"model": ""}, "model"),
        ({"api_key": "two words"}, "blank"),
        ({"api_key": "line\nbreak"}, "blank"),
    ],
)
def test_settings_that_cannot_work_are_refused(given, said):
    with pytest.raises(BadSettings, match=said) as caught:
        ChatEndpoint(**{"base_url": "http://x/v1", "model": "m", "api_key": KEY, **given})
    assert "words" not in str(caught.value)


def test_the_key_is_not_in_a_representation(llm):
    endpoint = ChatEndpoint(base_url=f"{llm.url}?token={KEY}", model="m", api_key=KEY)
    assert KEY not in repr(endpoint.shown)
    assert KEY not in repr(OpenAICompatibleModel(endpoint))


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=KEY) as made:
        yield made


def exceptions() -> set[type[openai.OpenAIError]]:
    """What the client may raise in a chat without tools, streams or web hooks."""
    named = [getattr(openai._exceptions, name) for name in openai._exceptions.__all__]
    found = {each for each in named if issubclass(each, openai.OpenAIError)}
    return {each for each in found if "WebSocket" not in each.__name__ and "Webhook" not in each.__name__}


def test_every_exception_of_the_client_has_a_row_and_children_stand_above_parents():
    for exception in exceptions():
        row = next(row for row in TABLE if issubclass(exception, row[0]))
        assert row[0] is not openai.OpenAIError or exception.__mro__[1] is openai.OpenAIError or exception is row[0]
    for index, (parent, _) in enumerate(TABLE):
        assert not any(issubclass(child, parent) for child, _ in TABLE[index + 1 :] if child is not parent)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Unprocessable),
        (401, ModelUnusable),
        (402, ModelUnusable),
        (403, ModelUnusable),
        (404, ModelUnusable),
        (408, Unavailable),
        (409, Unavailable),
        (413, Unprocessable),
        (422, Unprocessable),
        (429, Overloaded),
        (500, Unavailable),
        (501, Unprocessable),
        (503, Unavailable),
        (529, Unavailable),
    ],
)
def test_every_status_means_something(status, error, client):
    response = httpx2.Response(status, request=httpx2.Request("POST", "http://x"), text=f'{{"error": "{KEY}"}}')
    found: LorebankError = translate(client._make_status_error_from_response(response), "m at x", KEY)
    assert type(found) is error
    assert KEY not in str(found)
    assert f"HTTP {status}" in str(found)
