"""A document read while it is replaced is of one version, whole; one that lost chunks is never shown short."""

from datetime import UTC, datetime
from typing import Any

import pytest

from memory.document_reading import DocumentPart, ReadDocument
from memory.encoding import encode_document
from memory.errors import StoreDamaged, Unavailable
from memory.records import ChunkEntry, Document, Head, Record, RecordKind, Unit, UnitKind, UnitType
from memory.store_calls import GetChunks, GetRecords, ReadHead

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def document(version: int, *texts: str) -> Document:
    chunks = tuple(
        ChunkEntry(f"{version}:{text}", "", "", number, "\n" if number else "", None, UnitType.WORLD, 0)
        for number, text in enumerate(texts)
    )
    return Document("d", version, version, chunks, "!", "", 0, NOW, NOW)


class Bank:
    """What a store would answer; `before` runs ahead of each call, as another process might."""

    def __init__(self, stored: Document | None) -> None:
        self.put(stored)
        self.head = Head(commit=3, settled=3)
        self.calls: list[Any] = []
        self.before: dict[int, Any] = {}

    def put(self, stored: Document | None) -> None:
        self.document = stored
        self.units = {entry.unit_id for entry in stored.chunks} if stored else set()

    def read(self, procedure: ReadDocument) -> DocumentPart | None:
        steps = procedure.steps()
        answer = None
        while True:
            try:
                call = steps.send(answer)
            except StopIteration as done:
                return done.value
            self.before.get(len(self.calls), lambda: None)()
            self.calls.append(call)
            answer = self._answer(call)

    def _answer(self, call: Any) -> Any:
        if isinstance(call, GetRecords):
            body = self.document and Record(RecordKind.DOCUMENT, "d", encode_document(self.document))
            return {"d": body} if body else {}
        if isinstance(call, ReadHead):
            return self.head
        assert isinstance(call, GetChunks)
        return {
            id_: Unit(id_, UnitKind.CHUNK, UnitType.WORLD, id_.split(":")[1], "d", "")
            for id_ in call.ids
            if id_ in self.units
        }


def test_a_document_is_its_chunks_with_their_separators() -> None:
    part = Bank(document(1, "one", "two")).read(ReadDocument("d"))
    assert part is not None
    assert part.text == "one\ntwo!"


def test_a_range_of_chunks_is_read_alone() -> None:
    bank = Bank(document(1, "a", "b", "c", "d"))
    part = bank.read(ReadDocument("d", (1, 3)))
    assert part is not None
    assert [chunk.text for chunk in part.chunks] == ["b", "c"]
    assert bank.calls[1] == GetChunks(("1:b", "1:c"))


def test_a_range_behind_the_end_reads_nothing() -> None:
    bank = Bank(document(1, "a"))
    part = bank.read(ReadDocument("d", (5, 9)))
    assert part is not None
    assert (part.chunks, len(bank.calls)) == ((), 1)


def test_the_text_of_a_part_is_not_given_as_the_whole() -> None:
    part = Bank(document(1, "a", "b")).read(ReadDocument("d", (0, 1)))
    assert part is not None
    with pytest.raises(ValueError, match="shorter"):
        _ = part.text


def test_a_document_that_is_not_there_is_none() -> None:
    assert Bank(None).read(ReadDocument("d")) is None


def test_a_replace_between_record_and_chunks_gives_the_new_version() -> None:
    bank = Bank(document(1, "old", "older"))
    bank.before[1] = lambda: bank.put(document(2, "new"))
    part = bank.read(ReadDocument("d"))
    assert part is not None
    assert (part.document.version, part.text) == (2, "new!")


def test_a_delete_between_record_and_chunks_gives_none() -> None:
    bank = Bank(document(1, "old"))
    bank.before[1] = lambda: bank.put(None)
    assert bank.read(ReadDocument("d")) is None


def test_chunks_that_stay_missing_are_damage() -> None:
    bank = Bank(document(1, "a", "b"))
    bank.units.discard("1:b")
    with pytest.raises(StoreDamaged, match="lost 1 of its 2 chunks"):
        bank.read(ReadDocument("d"))


def test_chunks_that_a_half_applied_plan_has_taken_are_not_damage() -> None:
    bank = Bank(document(1, "a", "b"))
    bank.units.discard("1:b")
    bank.head = Head(commit=4, settled=3)
    with pytest.raises(Unavailable, match="being written to"):
        bank.read(ReadDocument("d"))


def test_a_plan_that_is_settled_between_two_looks_is_no_damage_either() -> None:
    bank = Bank(document(1, "a", "b"))
    bank.units.discard("1:b")

    def settle() -> None:
        bank.head = Head(commit=bank.head.commit + 1, settled=bank.head.commit + 1)

    bank.before = dict.fromkeys(range(2, 30, 3), settle)
    with pytest.raises(Unavailable, match="being written to"):
        bank.read(ReadDocument("d"))
