"""Mental models, their earlier contents and previews of refreshes as the wire has them."""

from collections import Counter
from datetime import datetime
from difflib import unified_diff
from typing import Any

from actors.reflecting import usage_of
from actors.refreshing import NO_CONTENT, QUERY_CHANGED, RefreshRun
from lorebank import wire
from memory.encoding import instant_to_text
from memory.ids import Scope
from memory.mental_models import MentalModel
from memory.records import Record
from memory.reflecting.port import MENTAL_MODEL, Piece
from serve_app.reflect_routes import trace_row

_FALLBACKS = {NO_CONTENT: "no_baseline_content", QUERY_CHANGED: "source_query_changed"}
_OTHER_FALLBACK = "structured_doc_unreadable"
"""The nearest of the names that clients accept; the reason itself is among the warnings."""


def model_row(bank: Scope, model: MentalModel, detail: wire.Detail, *, is_stale: bool) -> dict[str, Any]:
    """A mental model in as much detail as is asked for."""
    row: dict[str, Any] = {
        "id": model.id,
        "bank_id": bank.bank,
        "name": model.name,
        "tags": list(model.tags),
        "last_refreshed_at": _text(model.refreshed_at),
        "last_memory_seen_at": _text(model.refreshed_at),
        "last_refresh_failed_at": _text(model.failed_at),
        "last_full_refreshed_at": _text(model.full_refreshed_at),
        "created_at": _text(model.created_at),
        "is_knowledge_page": model.page,
        "is_stale": is_stale,
        "version": model.version,
        "refreshing": model.pending is not None,
        "failure": model.failure or None,
    }
    if detail == "metadata":
        return row
    row |= {
        "source_query": model.source_query,
        "content": model.content,
        "max_tokens": model.max_tokens,
        "trigger": dict(model.trigger),
    }
    return row | {"reflect_response": model.reflection} if detail == "full" else row


def version_row(record: Record) -> dict[str, Any]:
    """A content that was replaced."""
    body = record.body
    return {
        "version": body["version"],
        "previous_content": body["content"],
        "changed_at": body["replaced_at"],
        "refreshed_at": body["refreshed_at"],
        "source_query": body["source_query"],
    }


def dry_run_row(model: MentalModel, run: RefreshRun, now: datetime) -> dict[str, Any]:
    """What a refresh would do."""
    result, answered, trigger = run.result, run.answered, model.trigger
    outcome = "content_written" if result.changed else "content_unchanged"
    if not result.changed and not answered.seen:
        outcome = "content_preserved_no_new_facts"
    fallback = _FALLBACKS.get(run.fallback, _OTHER_FALLBACK) if run.fallback else None
    delta = None
    if result.mode == "delta":
        delta = {
            name: [{"do": edit.do, "block": edit.block, "text": edit.text} for edit in edits]
            for name, edits in (("applied", run.applied), ("skipped", run.skipped))
        }
    usage = usage_of(answered)
    trace = trace_row(answered, outputs=True)
    return {
        "mental_model_id": model.id,
        "name": model.name,
        "requested_mode": model.mode,
        "effective_mode": result.mode,
        "mode_fallback_reason": fallback,
        "outcome": outcome,
        "would_persist": result.changed,
        "scope": {
            "tags": list(model.tags),
            "tags_match": trigger.get("tags_match") or ("all_strict" if model.tags else "any"),
            "tag_groups": trigger.get("tag_groups"),
            "fact_types": trigger.get("fact_types"),
            "exclude_mental_models": bool(trigger.get("exclude_mental_models")),
            "exclude_mental_model_ids": [model.id, *(trigger.get("exclude_mental_model_ids") or ())],
        },
        "window": {
            "created_after": _text(model.refreshed_at) if result.mode == "delta" else None,
            "created_before": instant_to_text(now),
            "watermark": _text(model.refreshed_at),
        },
        "facts": {"retrieved": _by_type(answered.seen), "used": _by_type(answered.based_on)},
        "based_on": result.reflection.get("based_on"),
        "current_content": model.content,
        "candidate_content": answered.text,
        "preview_content": result.content,
        "diff": "\n".join(
            unified_diff(model.content.splitlines(), result.content.splitlines(), "current", "preview", lineterm="")
        ),
        "delta_operations": delta,
        "trace": {
            **trace,
            "effective_mode": result.mode,
            "mode_fallback_reason": fallback,
            "outcome": outcome,
            "usage": usage,
            "duration_ms": run.took_ms,
        },
        "usage": usage,
        "duration_ms": run.took_ms,
        "warnings": [said for said in (answered.reason, run.fallback) if said],
    }


def _by_type(pieces: tuple[Piece, ...]) -> dict[str, int]:
    kinds = ("mental-models" if piece.kind == MENTAL_MODEL else str(piece.payload["type"]) for piece in pieces)
    return dict(Counter(kinds))


def _text(at: datetime | None) -> str | None:
    return None if at is None else instant_to_text(at)
