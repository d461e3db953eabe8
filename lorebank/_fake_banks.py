"""The memory behind FakeServer: documents in dictionaries, recall by shared words. No durability, no language model."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lorebank import wire

_WORD = re.compile(r"\w+")
_TRAITS = {"skepticism": 3, "literalism": 3, "empathy": 3}


@dataclass(frozen=True, slots=True)
class FakeUnit:
    """One turn or text, as recall returns it."""

    id: str
    text: str
    document_id: str
    tags: tuple[str, ...]
    metadata: dict[str, str]
    mentioned_at: str | None
    speaker: str | None
    role: str | None

    def words(self) -> set[str]:
        """Words of the text and of the speaker's name, in lower case."""
        return words_of(f"{self.speaker or ''} {self.text}")

    def to_result(self, score: float) -> wire.RecallResult:
        """The unit as a recall result."""
        return wire.RecallResult(
            id=self.id,
            text=self.text,
            type="experience" if self.role == "assistant" else "world",
            mentioned_at=self.mentioned_at,
            document_id=self.document_id,
            metadata=self.metadata,
            tags=list(self.tags),
            chunk_id=self.id,
            scores=wire.RecallScores(final=score, keyword=score),
            kind="chunk",
            speaker=self.speaker,
            role=self.role,
        )


@dataclass(slots=True)
class FakeBank:
    """One bank: profile, documents by id, operation ids seen."""

    bank_id: str
    name: str = ""
    mission: str = ""
    traits: dict[str, int] = field(default_factory=lambda: dict(_TRAITS))
    documents: dict[str, list[FakeUnit]] = field(default_factory=dict)
    receipts: dict[str, wire.RetainResponse] = field(default_factory=dict)

    def profile(self) -> wire.BankProfileResponse:
        """The bank's profile."""
        return wire.BankProfileResponse(
            bank_id=self.bank_id,
            name=self.name or self.bank_id,
            disposition=wire.Disposition(**self.traits),
            mission=self.mission,
            background=self.mission,
        )

    def update(self, request: wire.BankUpdateRequest) -> wire.BankProfileResponse:
        """Set what the request sets."""
        self.name = request.name or self.name
        mission = request.mission_text()
        self.mission = self.mission if mission is None else mission
        self.traits.update(request.traits())
        return self.profile()

    def units(self) -> list[FakeUnit]:
        """All units in the order of their documents."""
        return [unit for units in self.documents.values() for unit in units]

    def retain(self, request: wire.RetainRequest) -> wire.RetainResponse:
        """Store the items; the same operation id again changes nothing and gets the same receipt."""
        operation_id = request.operation_id or digest(self.bank_id, str(len(self.receipts)))
        if operation_id in self.receipts:
            return self.receipts[operation_id]
        parts: dict[str, list[FakeUnit]] = {}
        for position, item in enumerate(request.items):
            document_id = item.document_id or digest(operation_id, str(position))
            if item.update_mode == "append":
                parts.setdefault(document_id, list(self.documents.get(document_id, [])))
            units = parts.setdefault(document_id, [])
            units.extend(_units_of(self.bank_id, document_id, len(units), item, request.document_tags))
        self.documents.update(parts)
        receipt = wire.RetainResponse(
            success=True,
            bank_id=self.bank_id,
            items_count=len(request.items),
            async_=request.async_,
            operation_id=operation_id,
            document_ids=list(parts),
            stage="accepted",
            durability="process",
        )
        self.receipts[operation_id] = receipt
        return receipt

    def recall(self, request: wire.RecallRequest) -> wire.RecallResponse:
        """Units by the share of the query's words they hold; equal ones in order of their ids."""
        asked = words_of(request.query)
        wanted = set(request.tags or [])
        scored = [
            (len(asked & unit.words()) / (len(asked) + 1), unit)
            for unit in self.units()
            if not wanted or not unit.tags or wanted & set(unit.tags)
        ]
        scored.sort(key=lambda pair: (-pair[0], pair[1].id))
        return wire.RecallResponse(results=[unit.to_result(score) for score, unit in scored[: request.limit or 10]])

    def reflect(self, request: wire.ReflectRequest) -> wire.ReflectResponse:
        """The best unit as the answer."""
        best = self.recall(wire.RecallRequest(query=request.query, limit=1)).results
        return wire.ReflectResponse(text=best[0].text if best else "Nothing is known about this.", mode="extractive")

    def stats(self) -> wire.BankStatsResponse:
        """Counts."""
        total = len(self.units())
        return wire.BankStatsResponse(
            bank_id=self.bank_id,
            total_nodes=total,
            total_links=0,
            total_documents=len(self.documents),
            nodes_by_fact_type={"world": total},
            links_by_link_type={},
            links_by_fact_type={},
            links_breakdown={},
            pending_operations=0,
            failed_operations=0,
        )

    def document(self, document_id: str) -> wire.DocumentResponse | None:
        """One document with its text."""
        units = self.documents.get(document_id)
        if units is None:
            return None
        text = "\n".join(unit.text for unit in units)
        return wire.DocumentResponse(
            id=document_id,
            bank_id=self.bank_id,
            original_text=text,
            content_hash=digest(text),
            created_at="",
            updated_at="",
            memory_unit_count=len(units),
            tags=list(units[0].tags),
        )


def words_of(text: str) -> set[str]:
    """The words of a text in lower case."""
    return set(_WORD.findall(text.lower()))


def digest(*parts: str) -> str:
    """A short stable id."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:24]


def _units_of(
    bank_id: str, document_id: str, first: int, item: wire.RetainItem, document_tags: list[str]
) -> list[FakeUnit]:
    tags = tuple(sorted({*item.tags, *document_tags}))
    turns: list[wire.Message]
    if isinstance(item.content, str):
        turns = [wire.Message(content=item.content, name=item.metadata.get("speaker"))]
    else:
        turns = [part if isinstance(part, wire.Message) else wire.Message(content=part.text) for part in item.content]
    return [
        FakeUnit(
            id=digest(bank_id, document_id, str(first + number)),
            text=turn.content,
            document_id=document_id,
            tags=tags,
            metadata={**item.metadata, **turn.metadata},
            mentioned_at=_iso(turn.timestamp or item.timestamp),
            speaker=turn.name,
            role=turn.role,
        )
        for number, turn in enumerate(turns)
    ]


def _iso(moment: datetime | str | None) -> str | None:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).isoformat()
    return None
