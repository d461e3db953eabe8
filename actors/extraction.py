"""The stage EXTRACT: documents to windows, windows to an extractor, once each, and what is stored of them to facts."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from actors.bank_ports import StageJob, beside_loop
from memory.bank_profile import resolve_settings
from memory.extraction.labels import ENTITY_LABELS, read_labels
from memory.extraction.port import (
    Extracted,
    ExtractionMode,
    ExtractionProfile,
    Extractor,
    NotExtracted,
    Usage,
    WindowOutcome,
    WindowRequest,
    outcomes_by_window,
)
from memory.extraction.stored import StoredWindow, decode_window, encode_window
from memory.facts import DocumentWindows, fact_units, window_request, windows_of
from memory.ids import Scope
from memory.records import RecordKind, Unit
from memory.stage_commands import StageEnd, StageResult
from memory.store_calls import GetRecords, Store

GROUP_CHARS = 12_000
"""Text of the windows that an extractor is given at once, about: 100 ms for the rules."""
READ_AT_ONCE = 64
"""Answers read in one call."""


class ExtractStage:
    """A StageFunction over an extractor. An answer is asked for where none is stored, and applied as it is stored."""

    def __init__(self, store: Store, extractor: Extractor) -> None:
        self._store = store
        self._extractor = extractor

    async def __call__(self, scope: Scope, jobs: Sequence[StageJob]) -> list[StageEnd]:
        """How each document's attempt ended."""
        cut = [await beside_loop(_size_of(job), windows_of, job.document) for job in jobs]
        hashes = [window.hash for document in cut for window in document.windows]
        known = await self._read(scope, hashes)
        requests = [
            window_request(scope, document, window, profile_of(job.profile, job.known_entities), job.operation_id)
            for job, document in zip(jobs, cut, strict=True)
            for window in document.windows
            if window.hash not in known
        ]
        groups = await asyncio.gather(*(self._extractor.extract(group) for group in _grouped(requests)))
        outcomes = outcomes_by_window([outcome for group in groups for outcome in group])
        return [
            await beside_loop(_size_of(job), _end, scope, job, document, known, outcomes)
            for job, document in zip(jobs, cut, strict=True)
        ]

    async def _read(self, scope: Scope, hashes: Sequence[str]) -> dict[str, StoredWindow]:
        known: dict[str, StoredWindow] = {}
        for start in range(0, len(hashes), READ_AT_ONCE):
            part = tuple(hashes[start : start + READ_AT_ONCE])
            found = await self._store.perform(scope, GetRecords(RecordKind.WINDOW, part))
            known.update((key, decode_window(record)) for key, record in found.items())
        return known


def profile_of(stored: Mapping[str, Any], known_entities: tuple[tuple[str, str], ...] = ()) -> ExtractionProfile:
    """What a bank asks of an extraction, by its settings, and the (name, type) pairs that it knows."""
    settings = resolve_settings(stored)
    mode = settings["retain_extraction_mode"]
    return ExtractionProfile(
        mode=ExtractionMode(mode) if mode in set(ExtractionMode) else ExtractionMode.CONCISE,
        mission=str(settings["retain_mission"] or ""),
        instructions=str(settings["retain_custom_instructions"] or ""),
        labels=read_labels(settings.get(ENTITY_LABELS)),
        known_entities=known_entities,
    )


def _end(
    scope: Scope,
    job: StageJob,
    document: DocumentWindows,
    known: Mapping[str, StoredWindow],
    outcomes: Mapping[str, WindowOutcome],
) -> StageEnd:
    """What the windows that have an answer say is applied, whatever became of the others."""
    document_id = document.part.document.id
    read: list[tuple[StoredWindow, Sequence[Unit]]] = []
    new: list[StoredWindow] = []
    failed: list[NotExtracted] = []
    unread: list[str] = []
    usage = Usage()
    for window in document.windows:
        outcome, chunks = outcomes.get(window.hash), document.chunks_of(window)
        usage += outcome.usage if outcome else Usage()
        if isinstance(outcome, NotExtracted):
            failed.append(outcome)
            unread += (chunk.id for chunk in chunks)
        elif isinstance(outcome, Extracted):
            new.append(StoredWindow(tuple(chunk.id for chunk in chunks), outcome))
            read.append((new[-1], chunks))
        else:
            read.append((known[window.hash], chunks))
    result = StageResult(
        units=tuple(fact_units(scope, document_id, read)),
        windows=tuple(window.hash for window in document.windows),
        answers=tuple(encode_window(document_id, answer) for answer in new),
        unread=tuple(unread),
    )
    return _with_failures(StageEnd(document_id, job.seq, result, usage=usage), failed, len(document.windows))


def _with_failures(end: StageEnd, failed: Sequence[NotExtracted], windows: int) -> StageEnd:
    """Windows are tried again as long as one of them may be read; an endpoint that is away says nothing of any."""
    if not failed:
        return end
    final = [outcome for outcome in failed if not outcome.retriable]
    reason = (final or failed)[0].reason
    return replace(
        end,
        reason=reason if windows == 1 else f"{len(failed)} of {windows} windows: {reason}",
        final=len(final) == len(failed),
        counted=not any(outcome.unavailable for outcome in failed),
        retry_after_s=max(outcome.retry_after_s for outcome in failed),
    )


@dataclass(slots=True)
class _Group:
    requests: list[WindowRequest]
    chars: int = 0


def _grouped(requests: Sequence[WindowRequest]) -> Iterator[list[WindowRequest]]:
    group = _Group([])
    for request in requests:
        chars = sum(len(turn.text) for turn in request.turns)
        if group.requests and group.chars + chars > GROUP_CHARS:
            yield group.requests
            group = _Group([])
        group.requests.append(request)
        group.chars += chars
    if group.requests:
        yield group.requests


def _size_of(job: StageJob) -> int:
    return job.document.document.text_bytes
