"""The Reflect deployment with a language model, on a server as users start it, and bulk reflection beside it."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import orjson
import pytest

from lorebank import Client, OverloadedError
from lorebank.own_server import OwnServer, free_port, up_command
from tests.support.scripted_llm import ScriptedLlm
from tests.support.scripted_reflect import FENCE, task_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

AT_ONCE = 2
"""Reflections that the deployment works on; as many again wait."""
STEPS = ("search_mental_models", "recall", "expand", "read_document")


@pytest.fixture(scope="module")
def llm() -> Iterator[ScriptedLlm]:
    running = ScriptedLlm()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reflect") / "data"


@pytest.fixture(scope="module")
def url(llm: ScriptedLlm, data: Path) -> Iterator[str]:
    environment = {
        "LOREBANK_LLM_BASE_URL": llm.url,
        "LOREBANK_LLM_MODEL": "scripted",
        "LOREBANK_EXTRACTION": "off",
        "LOREBANK_REFLECT_AT_ONCE": str(AT_ONCE),
        "LOREBANK_EMBEDDER": "hash",
    }
    with OwnServer(up_command(free_port(), data), on_line=print, environment=environment) as server:
        yield server.url


@pytest.fixture
def client(url: str, llm: ScriptedLlm) -> Iterator[Client]:
    llm.behave(rates={}, steps=(), obeys=False)
    llm.requests.clear()
    with Client(url, timeout_s=60) as made:
        yield made


@pytest.fixture
def bank() -> str:
    return f"reflect-{uuid.uuid4()}"


def test_the_deployment_drives_the_model_through_every_tool(client: Client, bank: str, llm: ScriptedLlm) -> None:
    client.retain(bank, "The key lies under the pot.", document_id="d")
    made = client.mental_models.create(bank, "Key", "Where is the key?", id="key")
    _completed(client, bank, made.operation_id)
    llm.requests.clear()
    found = {"recall": "m2", "expand": "m2", "read_document": "m2"}
    calls = [{"tool": tool, "query": "key pot", "ids": [found[tool]] if tool in found else None} for tool in STEPS]
    llm.behave(steps=[{"calls": [call], "answer": None, "used": []} for call in calls])
    answer = client.reflect(bank, "Where is the key?", budget="high", include={"facts": {}, "tool_calls": {}})
    assert (answer.mode, answer.reason) == ("llm", None)
    assert answer.trace is not None
    assert [call.tool for call in answer.trace.tool_calls if call.iteration > 0] == list(STEPS)
    assert len(answer.trace.llm_calls) == len(STEPS) + 1
    assert {task_of(request) for request in llm.requests} <= {"step", "answer"}
    assert all(FENCE.search(request["messages"][2]["content"]) for request in llm.requests)
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_recall_is_answered_while_every_reflection_waits_for_the_model(
    client: Client, bank: str, llm: ScriptedLlm
) -> None:
    client.retain(bank, "The key lies under the pot.")
    llm.gate.clear()
    came = llm.counts["came"]
    try:
        with ThreadPoolExecutor(2 * AT_ONCE + 4) as pool:
            waiting = [pool.submit(client.reflect, bank, f"Where is key {number}?") for number in range(2 * AT_ONCE)]
            _until(lambda: llm.counts["came"] >= came + AT_ONCE)
            for _ in range(20):
                assert client.recall(bank, "key").results, "recall stands in no queue behind reflections"
            assert not any(future.done() for future in waiting)
            llm.gate.set()
            assert {future.result(60).mode for future in waiting} == {"llm"}
    finally:
        llm.gate.set()


def test_more_reflections_than_there_is_room_for_are_refused(
    client: Client, bank: str, llm: ScriptedLlm, url: str
) -> None:
    client.retain(bank, "The key lies under the pot.")
    llm.gate.clear()
    try:
        with ThreadPoolExecutor(40) as pool, Client(url, timeout_s=60, deadline_s=1.0) as hasty:
            futures = [pool.submit(hasty.reflect, bank, f"Where is key {number}?") for number in range(40)]
            _until(lambda: any(future.done() for future in futures))
            refused = next(future for future in futures if future.done())
            assert isinstance(refused.exception(), OverloadedError)
            assert client.recall(bank, "key").results
            llm.gate.set()
            for future in futures:
                future.exception(60)
    finally:
        llm.gate.set()


def test_an_answer_is_stored_by_the_deployment_and_not_paid_twice(client: Client, bank: str, llm: ScriptedLlm) -> None:
    client.retain(bank, "The key lies under the pot.", document_id="d")
    kept = client.reflect(bank, "Where is the key?", store=True, operation_id="op-1")
    paid = len(llm.requests)
    again = client.reflect(bank, "Where is the key?", store=True, operation_id="op-1")
    assert (again.reflection_id, again.text, len(llm.requests)) == (kept.reflection_id, kept.text, paid)
    assert [row.id for row in client.recall(bank, "key", types=["reflection"]).results] == [kept.reflection_id]
    llm.requests.clear()
    with ThreadPoolExecutor(8) as pool:  # whichever replicas they reach
        ask = partial(client.reflect, bank, "Where is the key?", store=True, operation_id="op-2")
        at_once = [pool.submit(ask) for _ in range(8)]
        assert {future.result(60).text for future in at_once} == {kept.text}
    assert len(llm.requests) == paid
    client.delete_document(bank, "d")
    assert client.reflections.list(bank).total == 0


QUESTIONS = 40
KILLS = 5


def test_a_bulk_run_killed_again_and_again_answers_each_question_once(
    client: Client, bank: str, llm: ScriptedLlm, data: Path, tmp_path: Path
) -> None:
    client.retain(bank, "The key lies under the pot.")
    file, out = tmp_path / "questions.ndjson", tmp_path / "answers.ndjson"
    file.write_bytes(b"\n".join(orjson.dumps({"question": f"Where is key {n}?", "id": n}) for n in range(QUESTIONS)))
    command = [
        sys.executable,
        "-m",
        "jobs.reflect_bulk",
        str(file),
        "--bank",
        bank,
        "--out",
        str(out),
        "--concurrency=2",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "LOREBANK_DATA": str(data)}
    for number in range(1, KILLS + 1):
        job = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
        _until(partial(_has_come, job, llm, number * QUESTIONS // (KILLS + 2)))
        assert job.poll() is None, job.stderr.read()
        job.send_signal(signal.SIGKILL)
        job.communicate()
    done = subprocess.run([*command, "--json"], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    report = orjson.loads(done.stdout)
    assert report["questions"]["answered"] + report["questions"]["answered_before"] == QUESTIONS
    rows = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert sorted(row["id"] for row in rows) == sorted(str(n) for n in range(QUESTIONS))
    assert client.reflections.list(bank).total == QUESTIONS
    print(f"{QUESTIONS} questions, {KILLS} kills, {len(llm.requests)} calls of the model")
    assert len(llm.requests) <= QUESTIONS + 2 * KILLS, "only what was under way is paid twice"


def _has_come(job: subprocess.Popen[bytes], llm: ScriptedLlm, calls: int) -> bool:
    return job.poll() is not None or len(llm.requests) >= calls


def _completed(client: Client, bank: str, operation_id: str) -> None:
    _until(lambda: client.get_operation(bank, operation_id).status == "completed")


def _until(holds) -> None:
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it does not come true within 60 s")
