"""Questions of a bulk reflection: rows of files, checked, each under an id by which its answer is known again."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import ValidationError

from jobs.parts import Origin, Reject
from jobs.rows import BadRow, find_files, read_rows
from lorebank import wire
from memory.errors import LorebankError
from memory.filters import every, tags_filter
from memory.ids import Scope, digest
from memory.records import UnitType
from memory.reflecting.port import Question
from memory.reflecting.structured import check_schema

QUESTIONS = ("question", "query", "text", "q")
"""Columns that are taken for the question, the first that is there."""
LISTS = ("tags", "store_tags", "fact_types")
PLAIN = ("context", "budget", "max_tokens", "tags_match", "response_schema", *LISTS)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to one bank. key: the caller's name for it, or what it says; operation_id: made from all of it."""

    scope: Scope
    operation_id: str
    key: str
    question: Question
    tags: tuple[str, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Reading:
    """Where questions come from; given: fields of those that do not say. Under another `run` they are asked anew."""

    sources: tuple[str, ...]
    tenant: str
    bank: str | None = None
    run: str = ""
    given: Mapping[str, Any] | None = None

    def questions(self) -> Iterator[Asked | Reject]:
        """All of them, in order; a row that is none is a reject.

        Raises:
            Unprocessable: a source names nothing that can be read.
        """
        for path in find_files(self.sources):
            for row in read_rows(path):
                if isinstance(row, BadRow):
                    yield Reject(Origin(str(path), row.number), row.reason)
                    continue
                yield self._question(row.value, Origin(str(path), row.number))

    def _question(self, row: Any, origin: Origin) -> Asked | Reject:
        try:
            return self._read(row, origin)
        except ValidationError as exc:
            said = wire.problem_of_validation(exc)
            return Reject(origin, said.detail)
        except ValueError as exc:
            return Reject(origin, str(exc))

    def _read(self, row: Any, origin: Origin) -> Asked:
        if isinstance(row, str):
            row = {"question": row}
        if not isinstance(row, Mapping):
            raise ValueError("a question is an object, or a text")  # noqa: TRY004 - rows are data, not arguments
        text = next((row[name] for name in QUESTIONS if row.get(name)), None)
        bank = row.get("bank") or self.bank
        if bank is None:
            raise ValueError("there is no bank; give one with --bank, or in a column `bank`")
        given = {**(self.given or {}), **{name: row[name] for name in PLAIN if row.get(name) not in (None, "")}}
        given |= {name: _list_of(given[name]) for name in LISTS if name in given}
        if isinstance(given.get("response_schema"), str):
            given["response_schema"] = orjson.loads(given["response_schema"])
        request = wire.ReflectRequest.model_validate({**given, "query": text})
        scope = Scope(self.tenant, wire.check_id(str(bank)))
        key = "" if row.get("id") is None else str(row["id"])
        question = question_of(request)
        tags = tuple(dict.fromkeys((request.tags or ()) if request.store_tags is None else request.store_tags))
        name = digest("reflect", scope.tenant, scope.bank, self.run, key, repr(question), *tags)
        return Asked(scope, str(uuid.UUID(bytes=name[:16])), key, question, tags, origin)


def question_of(request: wire.ReflectRequest) -> Question:
    """The question of a request without tag groups.

    Raises:
        ValueError: its schema cannot be used.
    """
    if request.response_schema is not None:
        try:
            check_schema(request.response_schema)
        except LorebankError as exc:
            raise ValueError(str(exc)) from exc
    return Question(
        query=request.query,
        context=request.context or "",
        budget=request.budget,
        max_tokens=request.max_tokens,
        schema=request.response_schema,
        where=every(tags_filter(request.tags, request.tags_match)),
        scoped=bool(request.tags),
        types=tuple(dict.fromkeys(UnitType(kind) for kind in request.fact_types or ())),
    )


def _list_of(cell: Any) -> Any:
    """A list, or what stands between commas."""
    return [part.strip() for part in cell.split(",") if part.strip()] if isinstance(cell, str) else cell
