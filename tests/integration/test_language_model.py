"""The language model's actor on real Ray: what is extracted through it, its line, its death."""

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from actors.calls import ask
from actors.cluster import _actor
from actors.language_model import (
    LANGUAGE_MODEL,
    LANGUAGE_MODEL_CALLS,
    LanguageModelActor,
    RemoteExtractor,
)
from actors.pulse import Pulse
from actors.settings import NAMESPACE, Settings
from actors.storage_shard import shard_name
from actors.wiring import embedding_space
from memory.extraction.port import Extracted, NotExtracted, WindowRequest
from tests.support.scripted_llm import ScriptedLlm, expected_facts
from tests.support.windows import window


@pytest.fixture(scope="module")
def llm() -> Iterator[ScriptedLlm]:
    server = ScriptedLlm()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def extractor(deployment: Settings, llm: ScriptedLlm) -> Iterator[RemoteExtractor]:
    import ray

    with_model = {"llm_base_url": llm.url, "llm_model": "scripted", "llm_deadline_s": 30.0, "llm_call_s": 10.0}
    settings = deployment.model_copy(update=with_model)
    shards = [ray.get_actor(shard_name(index), namespace=NAMESPACE) for index in range(settings.storage_shards)]
    space = embedding_space(settings)
    actor = _actor(LanguageModelActor, LANGUAGE_MODEL, LANGUAGE_MODEL_CALLS, settings, shards, space)
    yield RemoteExtractor(settings)
    ray.kill(actor)


async def model_report() -> dict[str, Any]:
    """What the actor says of itself."""
    import ray

    return await ask(ray.get_actor(LANGUAGE_MODEL, namespace=NAMESPACE).report.remote(), 10.0, LANGUAGE_MODEL)


def windows(count: int, name: str) -> list[WindowRequest]:
    return [window(f"{name} met Friend{number} in Oslo. It rained.", operation=name) for number in range(count)]


def check(requests: list[WindowRequest], outcomes: list[object]) -> None:
    for request, outcome in zip(requests, outcomes, strict=True):
        assert isinstance(outcome, Extracted), outcome
        found = [(fact.turns[0], fact.fact.text) for fact in outcome.facts]
        assert found == expected_facts([turn.text for turn in request.turns])


def test_windows_are_extracted_by_the_actor_and_counted(extractor, llm, loop):
    async def run() -> None:
        batches = [windows(10, name) for name in ("Ana", "Ben", "Cleo")]
        found = await asyncio.gather(*(extractor.extract(batch) for batch in batches))
        for batch, outcomes in zip(batches, found, strict=True):
            check(batch, outcomes)
        report = await model_report()
        assert (report["model"], report["waiting"], report["under_way"], report["trouble"]) == ("scripted", 0, 0, "")
        assert report["tokens_today"] == {"tenant": llm.counts["prompt_tokens"] + llm.counts["completion_tokens"]}

    loop.run_until_complete(run())


def test_an_endpoint_that_was_down_is_found_when_it_is_back(extractor, llm, loop):
    async def run() -> None:
        llm.behave(down=True)
        requests = windows(20, "Dora")
        waiting = asyncio.create_task(extractor.extract(requests))
        while not (await model_report())["trouble"]:
            assert not waiting.done()
        llm.behave(down=False)
        check(requests, await waiting)

    loop.run_until_complete(run())


def test_a_killed_actor_is_no_attempt_of_the_windows_and_comes_back(extractor, llm, loop):
    import ray

    async def run() -> None:
        llm.behave(rates={"hang": 1.0})
        requests = windows(4, "Eva")
        before = llm.counts["hang"]
        waiting = asyncio.create_task(extractor.extract(requests))
        while llm.counts["hang"] == before:
            assert (await model_report())["model"]
        pulse: Pulse = await ask(ray.get_actor(LANGUAGE_MODEL, namespace=NAMESPACE).pulse.remote(), 10.0, "pulse")
        os.kill(pulse.pid, signal.SIGKILL)
        outcomes = await waiting
        assert all(isinstance(each, NotExtracted) and each.retriable and each.unavailable for each in outcomes)
        llm.behave(rates={})
        for _ in range(600):
            outcomes = await extractor.extract(requests)
            if isinstance(outcomes[0], Extracted):
                break
            await asyncio.sleep(0.1)
        check(requests, outcomes)

    loop.run_until_complete(run())
