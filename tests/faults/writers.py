"""Writers that retain numbered documents over HTTP until they are stopped, and remember what was acknowledged."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

BANKS = 3
DOCUMENTS = 6
"""Ids a writer uses again and again, so that most retains replace."""


@dataclass
class Sent:
    """What became of one document id: every text sent in order, and how many of them were acknowledged."""

    texts: list[str] = field(default_factory=list)
    acknowledged: int = 0

    def allowed(self) -> set[str]:
        """What a restart may show: the last acknowledged text, or a later one that was on its way."""
        return set(self.texts[max(0, self.acknowledged - 1) :])


class Writer(threading.Thread):
    """One client, one bank, one request at a time; ends at the first one without an answer."""

    def __init__(self, url: str, number: int, seed: int, history: dict[tuple[str, str], Sent]) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._number = number
        self._random = random.Random(seed * 1000 + number)
        self._history = history
        self._asked = threading.Event()
        self.acknowledged = 0
        self.unanswered: list[str] = []
        """Requests that got no answer; a killed server leaves one a writer."""
        self.first_acknowledged = threading.Event()

    def run(self) -> None:
        bank = f"bank-{self._number % BANKS}"
        with httpx.Client(base_url=self._url, timeout=30) as client:
            while not self._asked.is_set():
                document = f"writer {self._number}/document {self._random.randrange(DOCUMENTS)}"
                sent = self._history.setdefault((bank, document), Sent())
                lines = [
                    f"{document} line {line} of version {len(sent.texts)} says {self._random.getrandbits(64):016x}"
                    for line in range(self._random.randint(1, 6))
                ]
                sent.texts.append("\n".join(lines))
                body = {"items": [{"content": line, "document_id": document} for line in lines]}
                try:
                    answer = client.post(f"/v1/default/banks/{bank}/memories", json=body)
                except httpx.HTTPError as exc:
                    self.unanswered.append(repr(exc))
                    return
                if answer.status_code == 200:
                    sent.acknowledged = len(sent.texts)
                    self.acknowledged += 1
                    self.first_acknowledged.set()
                else:
                    assert answer.status_code in (429, 503), answer.text

    def stop(self) -> None:
        """Finish the request under way and end."""
        self._asked.set()


@contextmanager
def writing(url: str, count: int, seed: int, history: dict[tuple[str, str], Sent]) -> Iterator[list[Writer]]:
    """Writers for the length of the block."""
    writers = [Writer(url, number, seed, history) for number in range(count)]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.stop()
        for writer in writers:
            writer.join(60)
