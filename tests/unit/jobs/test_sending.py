"""From parts to banks: gathering, batches, the progress file, refusals, kills at any moment, the rate."""

import asyncio
import random
from argparse import Namespace
from pathlib import Path

import orjson
import pytest

from actors.settings import Settings
from jobs import backfill, gathering
from jobs.batching import BATCH_TURNS, cut_batches
from jobs.bulk import send_bulk
from jobs.gathering import SeenBefore, gathered, survey
from jobs.parts import Gathered, Origin, Part, Reject
from jobs.progress_file import Done, ProgressFile
from memory.commands import Item, Message
from memory.errors import BadSettings, Overloaded, Unavailable, Unprocessable
from memory.ids import Scope
from tests.support.fake_bank_client import FakeBankClient

TENANT = "default"


def turns_of(documents: int, turns: int = 5, banks: int = 2) -> list[Part]:
    """Turns of documents one after the other."""
    parts = []
    for number in range(documents):
        name = f"d{number}"
        for place in range(turns):
            item = Item((Message(f"{name} says {place}", name="Ana"),), name)
            parts.append(Part(f"bank{number % banks}", name, item, Origin("f", len(parts) + 1)))
    return parts


def texts(document: Gathered) -> list[str]:
    return [message.content for item in document.items for message in item.content]


@pytest.mark.parametrize("spill_bytes", [16 << 20, 200, 20])
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_documents_are_whole_and_in_order_of_reading_whatever_the_order(tmp_path, monkeypatch, seed, spill_bytes):
    monkeypatch.setattr(gathering, "SPILL_BYTES", spill_bytes)
    parts = turns_of(30)
    if seed is not None:
        random.Random(seed).shuffle(parts)
    expected: dict[str, list[str]] = {}
    for part in parts:
        expected.setdefault(part.document_id, []).append(part.item.content[0].content)
    rejected = Reject(Origin("f", 99), "bad")
    mixed = [*parts[:7], rejected, *parts[7:]]
    found = survey(mixed)
    assert (found.parts, found.rejects, found.together) == (150, 1, seed is None)
    spill = tmp_path / "spill"
    whole = list(gathered(mixed, together=found.together, size_bytes=found.size_bytes, spill=spill))
    assert rejected in whole
    documents = {document.document_id: texts(document) for document in whole if isinstance(document, Gathered)}
    assert documents == expected
    assert len(whole) == 31
    assert not spill.exists()


def test_a_name_that_was_seen_is_never_taken_for_new():
    seen = SeenBefore(64)
    names = [random.Random(number).randbytes(32) for number in range(2000)]
    first = [seen.add(name) for name in names]
    assert not first[0]
    assert all(seen.add(name) for name in names)


@pytest.mark.parametrize("together", [True, False])
def test_a_document_that_is_too_large_is_rejected_row_by_row(tmp_path, monkeypatch, together):
    monkeypatch.setattr(gathering, "MAX_DOCUMENT_TURNS", 4)
    parts = [*turns_of(1, turns=4), *turns_of(2, turns=6)[6:]]
    found = list(gathered(parts, together=together, size_bytes=10, spill=tmp_path / "spill"))
    assert sorted(reject.origin.row for reject in found if isinstance(reject, Reject)) == list(range(7, 13))
    assert [document.document_id for document in found if isinstance(document, Gathered)] == ["d0"]


def test_batches_keep_documents_whole_and_depend_on_the_input_alone():
    documents = list(gathered(turns_of(200, turns=7, banks=5), together=True, size_bytes=0, spill=Path("none")))
    batches = list(cut_batches(documents, TENANT, 64))
    assert [batch.operation_id for batch in batches] == [b.operation_id for b in cut_batches(documents, TENANT, 64)]
    assert len({batch.operation_id for batch in batches}) == len(batches)
    assert sorted(d.document_id for b in batches for d in b.documents) == sorted(d.document_id for d in documents)
    assert all(batch.turns <= BATCH_TURNS for batch in batches)
    assert len(batches) < 20


# -- the progress file


def test_what_was_done_is_known_after_a_line_was_cut_off(tmp_path):
    path = tmp_path / "p"
    ids = [f"{number:032x}" for number in range(3)]
    progress = ProgressFile(path, {"bank": "b"})
    reject = Reject(Origin("f", 3), "bad", "d")
    for number, operation_id in enumerate(ids):
        progress.add(Done(operation_id, number, 5, 4, 3, 2, (reject,)))
    progress.close()
    whole = path.read_bytes()
    for cut in range(len(whole) - 40, len(whole)):
        path.write_bytes(whole[:cut])
        again = ProgressFile(path, {"bank": "b"})
        assert [again.find(operation_id) is not None for operation_id in ids] == [True, True, False]
        assert again.find(ids[1]) == Done(ids[1], 1, 5, 4, 3, 2, (reject,))
        again.add(Done(ids[2], 2, 5))
        assert again.find(ids[2]) == Done(ids[2], 2, 5)
        again.close()


def test_a_progress_file_of_another_run_or_in_use_is_refused_and_says_what_to_do(tmp_path):
    path = tmp_path / "p"
    ProgressFile(path, {"bank": "b"}).close()
    with pytest.raises(BadSettings, match=r"bank 'b' \(now 'c'\).*--again"):
        ProgressFile(path, {"bank": "c"})
    held = ProgressFile(path, {"bank": "c"}, again=True)
    with pytest.raises(BadSettings, match="runs already"):
        ProgressFile(path, {"bank": "c"})
    held.close()
    with pytest.raises(BadSettings, match="--progress"):
        ProgressFile(tmp_path / "absent" / "p", {})
    path.write_bytes(b"something else\n")
    with pytest.raises(BadSettings, match="no progress file"):
        ProgressFile(path, {})


# -- a whole backfill, to banks in this process


class Killed(BaseException):
    """The process ends here."""


class Banks(FakeBankClient):
    """Banks that refuse a document called `poison`, are busy now and then, and may be killed at a call."""

    def __init__(self) -> None:
        super().__init__(Settings())
        self.kill_at: int | None = None
        self.calls = 0
        self.busy = 0
        self.applied: list[str] = []

    async def retain(self, scope, command):
        self.calls += 1
        if self.busy:
            self.busy -= 1
            raise Overloaded("full", 0.01)
        if self.kill_at == self.calls:
            raise Killed
        if any(item.document_id == "poison" for item in command.items):
            raise Unprocessable("document 'poison' cannot be stored")
        receipt = await super().retain(scope, command)
        if not receipt.replayed:
            self.applied.append(command.operation_id)
        if self.kill_at is not None and 0 < -self.kill_at <= self.calls:
            raise Killed
        return receipt


def options(tmp_path: Path, *more: str) -> Namespace:
    given = ["x", "--bank", "b", "--progress", str(tmp_path / "p.progress.ndjson"), "--concurrency", "2", *more]
    return backfill._parser().parse_args(given)


async def fill(banks: Banks, file: Path, given: Namespace) -> dict:
    given.sources = [str(file)]
    reading, tenant = backfill.reading_of(given)
    work = backfill.work_of(reading, tenant, given, survey(reading.parts()))
    return await send_bulk(banks, work, given, "here")


def write_rows(tmp_path: Path, documents: int = 60, poison: bool = True) -> Path:
    rows = [
        {"bank": part.bank, "document": part.document_id, "speaker": "Ana", "text": part.item.content[0].content}
        for part in turns_of(documents, banks=3)
    ]
    if poison:
        rows[10:10] = [{"document": "poison", "bank": "bank0", "speaker": "A", "text": t} for t in "xy"]
        rows.append({"document": "blank", "text": " "})
    file = tmp_path / "rows.ndjson"
    file.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return file


async def stored(banks: Banks) -> dict[tuple[str, str], tuple[str, int]]:
    found = {}
    for bank in ("bank0", "bank1", "bank2", "b"):
        scope = Scope(TENANT, bank)
        for document in (await banks.list_documents(scope, limit=1000)).documents:
            part = await banks.read_document(scope, document.id)
            found[bank, document.id] = (part.text, part.document.version)
    return found


def rejects_of(tmp_path: Path) -> list[tuple[int, str]]:
    lines = (tmp_path / "p.rejects.ndjson").read_bytes().splitlines()
    return sorted((row["row"], row["reason"]) for row in map(orjson.loads, lines))


def test_every_row_is_stored_or_rejected_with_its_reason(tmp_path):
    banks = Banks()
    banks.busy = 3
    report = asyncio.run(fill(banks, write_rows(tmp_path), options(tmp_path, "--batch-documents", "8")))
    assert report["documents"] == {"retained": 60, "there_already": 0, "retained_before": 0}
    assert (report["turns"]["retained"], report["chunks_added"], report["banks"], report["rejects"]) == (300, 300, 3, 3)
    kept = asyncio.run(stored(banks))
    assert len(kept) == 60
    assert kept["bank0", "d3"] == ("\n".join(f"d3 says {place}" for place in range(5)), 1)
    assert rejects_of(tmp_path) == [
        (11, "document 'poison' cannot be stored"),
        (12, "document 'poison' cannot be stored"),
        (303, "content must not be blank"),
    ]


@pytest.mark.parametrize("shuffled", [False, True])
def test_a_job_killed_at_any_call_ends_as_an_undisturbed_one(tmp_path, shuffled, monkeypatch):
    monkeypatch.setattr(gathering, "SPILL_BYTES", 500)
    file = write_rows(tmp_path, 24)
    if shuffled:
        lines = file.read_bytes().splitlines()
        random.Random(5).shuffle(lines)
        file.write_bytes(b"\n".join(lines))
    undisturbed, home = Banks(), tmp_path / "undisturbed"
    home.mkdir()
    asyncio.run(fill(undisturbed, file, options(home, "--batch-documents", "3")))
    expected, rejects = asyncio.run(stored(undisturbed)), rejects_of(home)
    for kill_at in (1, 3, 6, -1, -4):
        banks, home = Banks(), tmp_path / f"kill{kill_at}"
        home.mkdir()
        given = options(home, "--batch-documents", "3")
        banks.kill_at = kill_at
        with pytest.raises(BaseExceptionGroup):
            asyncio.run(fill(banks, file, given))
        banks.kill_at = None
        report = asyncio.run(fill(banks, file, given))
        assert asyncio.run(stored(banks)) == expected, kill_at
        assert rejects_of(home) == rejects
        assert report["documents"]["retained"] + report["documents"]["retained_before"] == 24
        assert len(banks.applied) == len(set(banks.applied)), "something was done twice"


def test_running_again_does_nothing_until_a_bank_is_gone(tmp_path):
    banks, file, given = Banks(), write_rows(tmp_path, poison=False), options(tmp_path)
    asyncio.run(fill(banks, file, given))
    calls = banks.calls
    report = asyncio.run(fill(banks, file, given))
    assert (banks.calls, report["calls"]) == (calls, 0)
    assert report["documents"] == {"retained": 0, "there_already": 0, "retained_before": 60}
    del banks._banks[Scope(TENANT, "bank1")]
    report = asyncio.run(fill(banks, file, given))
    assert report["documents"] == {"retained": 20, "there_already": 0, "retained_before": 40}
    assert len(asyncio.run(stored(banks))) == 60


def test_a_bank_that_takes_nothing_ends_the_job_and_what_is_done_is_kept(tmp_path):
    banks, file = Banks(), write_rows(tmp_path, poison=False)
    banks.failure = Unavailable("no owner", 0.01)
    with pytest.raises(Unavailable):
        asyncio.run(fill(banks, file, options(tmp_path, "--patience-s", "0.05")))
    banks.failure = None
    assert asyncio.run(fill(banks, file, options(tmp_path)))["documents"]["retained"] == 60


# -- the command


def test_a_dry_run_stores_nothing_and_says_what_it_would_do(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = write_rows(tmp_path)
    assert backfill.main([str(file), "--bank", "b", "--dry-run", "--json", "--report", "r.json"]) == 1
    report = orjson.loads(capsys.readouterr().out)
    assert report == orjson.loads((tmp_path / "r.json").read_bytes())
    assert (report["found"]["turns"], report["banks"], report["rejects"]) == (302, 3, 1)
    assert report["samples"][0]["text"] == "d0 says 0"
    assert len(Path(report["rejects_file"]).read_bytes().splitlines()) == 1
    assert not list(tmp_path.glob("*.progress*"))
