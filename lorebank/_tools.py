"""Shapes of the two ready tools, search_memory and add_memory, for agents that call functions."""

from collections.abc import Mapping

import orjson

from lorebank._options import FoundMemory
from lorebank.wire import RecallResponse, RecallResult


def found_memories(answer: RecallResponse) -> list[FoundMemory]:
    """The results as small JSON-ready objects, best first."""
    return [
        FoundMemory(
            id=result.id,
            text=result.text,
            who=speaker_of(result),
            when=time_of(result),
            score=result.scores.final if result.scores else None,
            document_id=result.document_id,
        )
        for result in answer.results
    ]


def speaker_of(result: RecallResult) -> str | None:
    """Who said it, as far as the result tells."""
    metadata = result.metadata or {}
    return result.speaker or metadata.get("speaker") or result.role or metadata.get("role")


def time_of(result: RecallResult) -> str | None:
    """When it happened, else when it was said."""
    return result.occurred_start or result.mentioned_at


def text_metadata(metadata: Mapping[str, object] | None) -> dict[str, str]:
    """Metadata with text values only, as the wire takes them: other values become JSON.

    Raises:
        TypeError: a value that JSON cannot express.
    """
    return {
        key: value if isinstance(value, str) else orjson.dumps(value).decode()
        for key, value in (metadata or {}).items()
    }
