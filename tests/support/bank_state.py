"""What a bank holds, read through the store's calls, in a form to compare; and whether it agrees with itself."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memory.audit import AuditBank
from memory.consolidating.plans import CONSOLIDATED, UNCONSOLIDATED
from memory.curation import CURATED
from memory.directives import DIRECTIVES
from memory.document_reading import ReadStored
from memory.encoding import decode_recall_profile
from memory.ids import Scope
from memory.ingest import RECALL_PROFILE_KEY
from memory.known_facts import EXPIRING
from memory.mental_models import FOLLOWING, MODELS, decode_model
from memory.records import Document, Head, RecordKind, Unit, UnitKind, UnitState
from memory.stages import decode_work
from memory.staging import STAGED
from memory.store_calls import GetRecords, ListRecords, ListUnits, ReadHead
from storage.run import run

EVERY = 10_000


@dataclass(frozen=True)
class BankState:
    """Everything a caller can see of a bank, without epochs, seqs and instants."""

    exists: bool
    profile: Mapping[str, Any]
    counters: Mapping[str, int]
    speakers: Mapping[str, int]
    texts: Mapping[str, str]
    versions: Mapping[str, int]
    live: frozenset[tuple[str, str]]
    """(document id, text) of every live unit; equal ones are told apart by their number behind the id."""
    operations: frozenset[str]
    rederive: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What is to be derived again: unit -> the texts of its sources that are left."""


def read_bank(engine: Any, scope: Scope) -> BankState:
    head, documents, units, speakers = _read(engine, scope)
    by_id = {unit.id: unit for unit in units}
    return BankState(
        exists=head.exists,
        profile=dict(head.profile),
        counters=dict(head.counters),
        speakers=speakers,
        texts={
            document.id: "".join(
                e.separator + (by_id[e.unit_id].text if e.unit_id in by_id else "<lost>") for e in document.chunks
            )
            + document.tail
            for document in documents
        },
        versions={document.id: document.version for document in documents},
        live=frozenset((unit.id, unit.text) for unit in units),
        rederive={
            record.key: tuple(sorted(by_id[one].text for one in record.body["sources"] if one in by_id))
            for record in engine.call(scope, ListRecords(RecordKind.REDERIVE, EVERY, status="pending")).records
        },
        operations=frozenset(r.key for r in engine.call(scope, ListRecords(RecordKind.OPERATION, EVERY)).records),
    )


def check_bank(engine: Any, scope: Scope) -> None:
    """A settled bank agrees with itself: records name the live units, counts are recounts, nothing is left over."""
    head, documents, units, speakers = _read(engine, scope)
    by_id = {unit.id: unit for unit in units}
    assert head.settled == head.commit, "a commit is not settled"
    entries = [(document, entry) for document in documents for entry in document.chunks]
    chunks = [unit.id for unit in units if unit.kind is UnitKind.CHUNK]
    assert Counter(entry.unit_id for _, entry in entries) == Counter(chunks), "documents name other units than are live"
    for unit in units:
        pointed = {source.unit_id for source in unit.sources} | {link.to for link in unit.links}
        pointed |= {unit.superseded_by} if unit.superseded_by else set()
        assert pointed <= set(by_id), "a unit cites or points at what is gone"
    works = engine.call(scope, ListRecords(RecordKind.STAGES, EVERY)).records
    made = Counter(unit.unit_id for work in works for unit in decode_work(work).derived)
    assert made <= Counter(set(by_id) - set(chunks)), "stages have made units that are not live"
    for document, entry in entries:
        unit = by_id[entry.unit_id]
        assert (unit.document_id, unit.content_hash, unit.speaker, unit.type) == (
            document.id,
            entry.content_hash,
            entry.speaker,
            entry.type,
        ), "a document's entry and its unit differ"
        assert unit.position == entry.position, "a unit does not stand where its document says"
    for document in documents:
        places = [entry.position for entry in document.chunks]
        assert places == sorted(set(places)), "positions do not increase"
        text = "".join(entry.separator + by_id[entry.unit_id].text for entry in document.chunks) + document.tail
        assert document.text_bytes == len(text.encode()), "a document's size is not its text's"
    counted = Counter({"units": len(units), "documents": len(documents)})
    counted.update(f"type:{unit.type.value}" for unit in units)
    counted.update("derived" for unit in units if unit.kind is not UnitKind.CHUNK)
    counted.update(EXPIRING for unit in units if unit.expires_at)
    models = [
        decode_model(record) for record in engine.call(scope, ListRecords(RecordKind.MENTAL_MODEL, EVERY)).records
    ]
    counted[MODELS] = len(models)
    counted[FOLLOWING] = sum(model.follows for model in models)
    counted[DIRECTIVES] = engine.call(scope, ListRecords(RecordKind.DIRECTIVE, EVERY)).total
    if head.exists:
        said = {
            name: count
            for name, count in head.counters.items()
            if name not in {STAGED, CURATED, CONSOLIDATED, UNCONSOLIDATED}
        }
        assert said == {name: count for name, count in counted.items() if count}, "counters are not recounts"
    assert speakers == Counter(unit.speaker for unit in units if unit.speaker), "the recall profile is no recount"
    left = pending_units(engine, scope)
    assert not left, f"units are left pending: {left}"
    if head.epoch:
        breaches = run(engine, scope, AuditBank(scope, "all")).breaches
        assert not breaches, f"verify finds something: {breaches}"


def pending_units(engine: Any, scope: Scope) -> set[str]:
    """Ids of units no read shows: only a look behind the port finds them."""
    if hasattr(engine, "dump"):
        units, _ = engine.dump()
        return {
            unit
            for unit, payload in units.items()
            if payload["bank_key"] == scope.key and payload["state"] == UnitState.PENDING.value
        }
    if hasattr(engine, "pending_units"):
        return engine.pending_units(scope)
    from qdrant_edge import ScrollRequest

    from memory.filters import AnyOf
    from storage.query_to_edge import scoped

    where = scoped(scope, AnyOf("state", (UnitState.PENDING.value,)))
    records, _ = engine._units.scroll(ScrollRequest(limit=EVERY, filter=where))
    return {str(record.id) for record in records}


def _read(engine: Any, scope: Scope) -> tuple[Head, list[Document], list[Unit], dict[str, int]]:
    head = engine.call(scope, ReadHead()) or Head()
    records = engine.call(scope, ListRecords(RecordKind.DOCUMENT, EVERY)).records
    documents = [run(engine, scope, ReadStored(record.key)).document for record in records]
    units = list(engine.call(scope, ListUnits(EVERY)).units)
    profile = engine.call(scope, GetRecords(RecordKind.RECALL_PROFILE, (RECALL_PROFILE_KEY,)))
    speakers = decode_recall_profile(profile[RECALL_PROFILE_KEY].body).speakers if profile else {}
    return head, documents, units, dict(speakers)
