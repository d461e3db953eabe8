"""Kill -9 of a backfill at random moments; in the end each row is stored once, or rejected with its reason."""

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from loadtests.backfill_job import BackfillRun, kill
from loadtests.timed_connection import LoadError
from loadtests.transcript_files import chat_rows, file_of
from lorebank import Client

BEGIN_S = 120.0
LONGEST_S = 0.1
"""A kill comes so long after a batch was noted as done, at the latest."""
BATCH_TURNS = 256
"""Turns of one batch, at most."""
PAGE = 500


@dataclass(frozen=True, slots=True)
class KillRounds:
    """What rounds of kills came to."""

    kills: int
    seed: int
    turns: int
    documents: int
    rejects: int
    documents_before: int

    @property
    def sentence(self) -> str:
        """The figures in words."""
        return (
            f"seed {self.seed}: {self.kills} kills; {self.documents} documents of {self.turns} turns, each stored once"
            f" and whole; {self.rejects} rows rejected, each with its reason; {self.documents_before} documents"
            " were known to be stored when the last run began"
        )


def kill_rounds(url: str, run: BackfillRun, turns: int, banks: int, kills: int) -> KillRounds:
    """Kill the job `kills` times, each time at work, let it end, and compare the store with the input, row by row.

    Raises:
        LoadError: it ended before the last kill, or the store is not what the input says.
    """
    seed = random.SystemRandom().randrange(1_000_000)
    moments = random.Random(seed)
    progress = run.home / "chats.progress.ndjson"
    whole = turns // BATCH_TURNS
    for number in range(kills):
        done = _lines(progress)
        job = run.start()
        goal = done + 1 + moments.randrange(max(1, (whole - done) // (kills - number + 1)))
        until_s = time.monotonic() + BEGIN_S
        while job.poll() is None and _lines(progress) < goal:
            if time.monotonic() > until_s:
                raise LoadError(f"round {number}: the job has stored nothing for {BEGIN_S:g} s")
            time.sleep(0.005)
        time.sleep(moments.uniform(0.0, LONGEST_S))
        if job.poll() is not None:
            raise LoadError(f"seed {seed}: the job ended before kill {number + 1} of {kills}: give it more turns")
        kill(job)
    report = run.finish(run.start())
    documents = _check_stored(url, turns, banks)
    rejects = _check_rejects(run, turns, banks)
    told = report["turns"]["retained"] + report["turns"]["retained_before"]
    if told != turns:
        raise LoadError(f"seed {seed}: the report tells of {told} turns, there are {turns}")
    before = report["documents"]["retained_before"]
    return KillRounds(kills, seed, turns, documents, rejects, before)


def _lines(progress: Path) -> int:
    """Batches that the progress file tells of."""
    return progress.read_bytes().count(b"\n") if progress.exists() else 0


def _check_stored(url: str, turns: int, banks: int) -> int:
    """Each document stands once, of its first version and with the text of its rows; how many there are."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for row in chat_rows(turns, banks):
        if row.reason is None:
            wanted.setdefault((row.bank, row.document), []).append(row.text)
    found = 0
    with Client(url) as client:
        for bank in sorted({bank for bank, _ in wanted}):
            names = list(_names(client, bank))
            if repeated := [name for name, times in Counter(names).items() if times > 1]:
                raise LoadError(f"bank {bank} lists twice: {repeated[:3]}")
            if unexpected := [name for name in names if (bank, name) not in wanted]:
                raise LoadError(f"bank {bank} holds what is in no file: {unexpected[:3]}")
            units = 0
            for name in names:
                document = client.get_document(bank, name)
                texts = wanted[bank, name]
                if document.original_text != "\n".join(texts):
                    raise LoadError(f"{bank} / {name} is not what the file says")
                units += len(texts)
            chunks = client.stats(bank).nodes_by_fact_type
            if sum(chunks.values()) < units:
                raise LoadError(f"bank {bank} has {chunks} units for {units} turns")
            found += len(names)
    if found != len(wanted):
        raise LoadError(f"{found} of {len(wanted)} documents are stored")
    return found


def _names(client: Client, bank: str) -> Iterable[str]:
    offset = 0
    while page := client.list_documents(bank, limit=PAGE, offset=offset).items:
        yield from (item.id for item in page)
        offset += len(page)


def _check_rejects(run: BackfillRun, turns: int, banks: int) -> int:
    """The rejects file names each bad row once, with its reason, and no other; how many there are."""
    wanted = {file_of(place): row.reason for place, row in enumerate(chat_rows(turns, banks)) if row.reason is not None}
    rows = [orjson.loads(line) for line in run.rejects.read_bytes().splitlines()] if run.rejects.exists() else []
    told = {(row["file"].rpartition("/")[2], row["row"]): row["reason"] for row in rows}
    if told != wanted or len(rows) != len(wanted):
        wrong = [key for key in told.keys() | wanted.keys() if told.get(key) != wanted.get(key)]
        raise LoadError(f"{len(rows)} rejects for {len(wanted)} bad rows; differing: {sorted(wrong)[:3]}")
    return len(wanted)
