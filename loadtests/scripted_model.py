"""The scripted language model of the tests, as a process of its own that is steered over HTTP."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from lorebank.own_server import READY_PREFIX, free_port

ROOT = Path(__file__).resolve().parent.parent
STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ScriptedModel:
    """An OpenAI-compatible endpoint whose answers state every sentence of what it is asked about."""

    url: str

    def behave(self, **changes: object) -> None:
        """Change how it answers from now on: `down`, `latency_s`, `rates` by kind of fault."""
        httpx.post(self._control, json=changes).raise_for_status()

    def counts(self) -> Mapping[str, int]:
        """Calls in all, good ones, and what was wrong with the others, by kind."""
        counts: dict[str, int] = httpx.get(self._control).raise_for_status().json()["counts"]
        return counts

    @property
    def settings(self) -> dict[str, str]:
        """What a server needs to find facts with it."""
        return {
            "LOREBANK_LLM_BASE_URL": self.url,
            "LOREBANK_LLM_MODEL": "scripted",
            "LOREBANK_CONSOLIDATION": "off",
        }

    @property
    def _control(self) -> str:
        return f"{self.url.removesuffix('/v1')}/control"


@contextmanager
def scripted_model(fault_rate: float = 0.0) -> Iterator[ScriptedModel]:
    """The endpoint for the length of the block; a share of its calls fails, each kind of fault as often.

    Raises:
        OSError: it did not start.
    """
    command = [sys.executable, "-m", "tests.support.scripted_llm"]
    command += ["--port", str(free_port()), "--faults", str(fault_rate), "--retry-after-s", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith(READY_PREFIX):
                raise OSError(f"the scripted language model did not start: {line!r}")
            yield ScriptedModel(line.removeprefix(READY_PREFIX).strip())
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)
