"""A scripted language model behind HTTP for the tests of a module, each of which finds it well and unasked."""

from collections.abc import Iterator

import pytest

from tests.support.scripted_llm import ScriptedLlm


@pytest.fixture(scope="module")
def llm_server() -> Iterator[ScriptedLlm]:
    running = ScriptedLlm()
    yield running
    running.stop()


@pytest.fixture
def llm(llm_server: ScriptedLlm) -> ScriptedLlm:
    llm_server.behave(rates={}, steps=(), obeys=False, down=False, formats=("json_schema", "json_object"), fenced=False)
    llm_server.requests.clear()
    return llm_server
