"""Bulk reflection: rows to questions, each paid for once, caps, stale mental models; over banks in this process."""

from argparse import Namespace
from pathlib import Path

import orjson
import pytest

from actors.client import BankClient
from actors.settings import Settings
from jobs import asking, reflect_bulk
from jobs.parts import Reject
from jobs.questions import Asked, Reading
from jobs.reflect_bulk import reflect_all, sentence
from memory.errors import Unavailable
from memory.filters import TRUE
from memory.ids import Scope
from memory.records import UnitType
from memory.reflect_commands import PutModel
from tests.support.builders import DIM, retain
from tests.support.loops import in_loop
from tests.support.reflecting import reflecting_client
from tests.support.scripted_llm import ScriptedLlm

TENANT = "default"
BANKS = ("ana", "ben")


@pytest.fixture
def client(llm: ScriptedLlm) -> BankClient:
    return reflecting_client(Settings(embedder="hash", embedding_dim=DIM, request_timeout_s=5.0), llm)


async def told(client: BankClient) -> None:
    for bank in BANKS:
        await client.retain(Scope(TENANT, bank), retain(f"The key of {bank} lies under the pot.", op=f"op-{bank}"))


def questions(path: Path, count: int) -> Path:
    file = path / "questions.ndjson"
    rows = [{"bank": BANKS[n % 2], "question": f"Where is key number {n}?", "id": f"q{n}"} for n in range(count)]
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return file


def options_of(path: Path, *sources: Path, **given: object) -> Namespace:
    parsed = reflect_bulk._parser().parse_args([str(source) for source in sources])
    defaults = {"progress": path / "p.ndjson", "out": path / "out.ndjson", "patience_s": 5.0}
    return Namespace(**{**vars(parsed), **defaults, **given})


async def run(client: BankClient, options: Namespace) -> dict:
    return await reflect_all(client, reflect_bulk._reading(options), options, 0)


def test_rows_are_questions_or_say_why_not(tmp_path):
    rows = [
        "Where is the key?",
        {
            "bank": "ben",
            "query": "Which?",
            "tags": "a, b",
            "max_tokens": "64",
            "fact_types": ["world"],
            "budget": "mid",
        },
        {"question": "Fill?", "response_schema": '{"type": "object"}', "store_tags": []},
        {"question": ""},
        {"question": "x", "budget": "huge"},
        {"question": "x", "response_schema": {"type": "words"}},
        {"question": "x", "bank": ".."},
        7,
    ]
    file = tmp_path / "q.ndjson"
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)) + b"\n{broken")
    read = list(Reading((str(file),), TENANT, "ana", given={"tags": ["t"], "budget": "low"}).questions())
    good = [one for one in read if isinstance(one, Asked)]
    assert [(one.scope.bank, one.question.query, one.tags) for one in good] == [
        ("ana", "Where is the key?", ("t",)),
        ("ben", "Which?", ("a", "b")),
        ("ana", "Fill?", ()),
    ]
    assert (good[1].question.max_tokens, good[1].question.types, good[1].question.budget) == (
        64,
        (UnitType.WORLD,),
        "mid",
    )
    assert good[2].question.schema == {"type": "object"}
    bad = [one for one in read if isinstance(one, Reject)]
    assert [one.origin.row for one in bad] == [4, 5, 6, 7, 8, 9]
    assert all(one.reason for one in bad)
    nowhere = list(Reading((str(file),), TENANT).questions())
    assert "no bank" in nowhere[0].reason
    again = [one for one in Reading((str(file),), TENANT, "ana", "may").questions() if isinstance(one, Asked)]
    assert {one.operation_id for one in again}.isdisjoint({one.operation_id for one in good}), "another run asks anew"


def test_csv_rows_are_questions_too(tmp_path):
    file = tmp_path / "q.csv"
    file.write_text('bank,question,tags,max_tokens\nana,"Where, then?","a,b",\n,x,,\n', encoding="utf-8")
    first, second = Reading((str(file),), TENANT).questions()
    assert (first.question.query, first.tags) == ("Where, then?", ("a", "b"))
    assert isinstance(second, Reject)


@in_loop
async def test_every_question_is_answered_once_however_often_the_run_is_cut_off(client, llm, tmp_path, monkeypatch):
    await told(client)
    options = options_of(tmp_path, questions(tmp_path, 12), concurrency=1)
    runs, left = 0, [1, 3, 2, 4]

    class Cut(BaseException):
        """Stands for kill -9: nothing after it runs but what frees files."""

    real = asking.Asker._write
    while True:
        runs += 1
        budget = left.pop(0) if left else None

        async def write(self, asked, answer):
            nonlocal budget
            if budget == 0:
                raise Cut  # the answer is stored, and the progress file does not know
            budget = None if budget is None else budget - 1
            await real(self, asked, answer)

        monkeypatch.setattr(asking.Asker, "_write", write)
        try:
            report = await run(client, options)
        except BaseExceptionGroup as cut:
            if cut.subgroup(Cut) is None:
                raise
            continue
        break
    assert runs == 5
    assert len(llm.requests) == 12, "nothing is paid twice"
    assert report["questions"]["answered"] + report["questions"]["answered_before"] == 12
    rows = [orjson.loads(line) for line in (tmp_path / "out.ndjson").read_bytes().splitlines()]
    assert sorted(row["id"] for row in rows) == sorted(f"q{n}" for n in range(12))
    assert all(row["mode"] == "llm" and row["reflection_id"] for row in rows)
    for bank in BANKS:
        kept, total = await client.reflecting.stored.list(Scope(TENANT, bank), TRUE, limit=100, offset=0)
        assert total == 6
        assert {one.id for one in kept} == {row["reflection_id"] for row in rows if row["bank"] == bank}
    (tmp_path / "p.ndjson").unlink()
    report = await run(client, options)
    assert report["questions"] | {"answered_before": 12} == report["questions"], "known by their banks"
    assert len(llm.requests) == 12
    assert report["tokens"] == 0
    assert "12 questions had an answer already" in sentence(report)


@in_loop
async def test_tokens_are_capped_and_a_later_run_goes_on(client, llm, tmp_path):
    await told(client)
    options = options_of(tmp_path, questions(tmp_path, 6), concurrency=1, max_tokens=1)
    report = await run(client, options)
    assert (report["questions"]["answered"], report["questions"]["left"], report["stopped"]) == (1, 5, "max_tokens")
    assert report["rejects"] == 5, "the exit code says that something is left"
    options.max_tokens = None
    report = await run(client, options)
    assert (report["questions"]["answered"], report["questions"]["answered_before"]) == (5, 1)
    assert len(llm.requests) == 6


@in_loop
async def test_what_the_model_did_not_answer_is_asked_again_and_a_dead_one_ends_the_run(
    client, llm, tmp_path, monkeypatch
):
    await told(client)
    options = options_of(tmp_path, questions(tmp_path, 3), concurrency=1)
    llm.behave(rates={"prose": 1.0})
    report = await run(client, options)
    assert (report["questions"]["unanswered"], report["questions"]["answered"]) == (3, 0)
    assert report["tokens"] > 0
    assert "could not be read" in report["problems"][0]
    assert (await client.reflecting.stored.list(Scope(TENANT, "ana"), TRUE, limit=9, offset=0))[1] == 0
    monkeypatch.setattr(asking, "UNANSWERED_IN_A_ROW", 2)
    with pytest.raises(Unavailable, match="2 questions in a row"):
        await run(client, options)
    llm.behave(rates={})
    assert (await run(client, options))["questions"]["answered"] == 3


@in_loop
async def test_without_storing_the_progress_file_alone_knows(client, llm, tmp_path):
    await told(client)
    options = options_of(tmp_path, questions(tmp_path, 2), no_store=True)
    assert (await run(client, options))["questions"]["answered"] == 2
    assert (await run(client, options))["questions"]["answered_before"] == 2
    assert len(llm.requests) == 2
    assert (await client.reflecting.stored.list(Scope(TENANT, "ana"), TRUE, limit=9, offset=0))[1] == 0


@in_loop
async def test_tokens_a_minute_hold_questions_back(monkeypatch):
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asking.asyncio, "sleep", sleep)
    throttle = asking.Throttle(600.0)
    await throttle.wait()
    throttle.spend(100)
    throttle.spend(100)
    await throttle.wait()
    await asking.Throttle(None).wait()
    assert [round(seconds) for seconds in slept] == [0, 20, 0]


@in_loop
async def test_stale_models_of_a_tenant_are_refreshed_and_fresh_ones_left(client, llm, tmp_path):
    await told(client)
    scopes = [Scope(TENANT, bank) for bank in BANKS]
    for scope in scopes:
        put = PutModel(f"p-{scope.bank}", "key", {"name": "Key", "source_query": "Where is the key?"}, create=True)
        await client.reflecting.change_model(scope, put)
        await settled(client, scope)
    options = options_of(tmp_path, stale=True)
    asked = len(llm.requests)
    assert (await run(client, options))["models"] == {"refreshed": 0, "unchanged": 0, "failed": 0}
    assert len(llm.requests) == asked
    await client.retain(scopes[0], retain("The key is in the car.", op="op-new", document_id="e"))
    report = await run(client, options)
    assert report["models"] == {"refreshed": 1, "unchanged": 0, "failed": 0}
    assert report["tokens"] > 0
    assert "car" in (await client.reflecting.get_model(scopes[0], "key")).content
    await client.retain(scopes[1], retain("The key is in the bus.", op="op-new", document_id="e"))
    llm.behave(rates={"prose": 1.0})
    report = await run(client, options)
    assert (report["models"]["failed"], report["rejects"]) == (1, 1)
    assert "could not be read" in report["problems"][0]
    assert "refreshed 0 mental models" in sentence(report)


async def settled(client: BankClient, scope: Scope) -> None:
    await client.reflecting._cluster.bank(scope).refreshes.rest()


def test_a_dry_run_asks_nothing_and_a_run_needs_something_to_do(tmp_path, capsys, llm):
    file = questions(tmp_path, 4)
    assert reflect_bulk.main([str(file), "--dry-run", "--report", str(tmp_path / "r.json")]) == 0
    assert "would ask 4 questions of 2 banks" in capsys.readouterr().out
    assert orjson.loads((tmp_path / "r.json").read_bytes())["dry_run"] is True
    assert reflect_bulk.main([]) == 2
    assert "--stale" in capsys.readouterr().err
    assert reflect_bulk.main([str(tmp_path / "none.ndjson")]) == 2
    assert llm.requests == []
