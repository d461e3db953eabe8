"""A scripted language model behind HTTP, started once for a module and as new for each test."""

from collections.abc import Iterator

import pytest

from tests.support.scripted_llm import ScriptedLlm


@pytest.fixture(scope="module")
def running_llm() -> Iterator[ScriptedLlm]:
    running = ScriptedLlm()
    yield running
    running.stop()


@pytest.fixture
def llm(running_llm: ScriptedLlm) -> ScriptedLlm:
    running_llm.renew()
    return running_llm
