"""What is done for a command outside its turn: drafting, reading what is stored, embedding what is new."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from actors.bank_ports import BankPorts, beside_loop
from memory.commands import Retain
from memory.drafting import ChunkDraft, DocumentDraft, draft_documents
from memory.encoding import decode_document
from memory.healing import DAMAGED
from memory.ids import Scope
from memory.ingest import Embedded
from memory.merging import Merge, merge_document
from memory.records import Document, Embedding, Record, RecordKind
from memory.store_calls import Batch, FindLive, GetRecords
from memory.upkeep_calls import GetEmbeddings


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it is stored, and which of its chunks are lost."""

    document: Document
    missing: frozenset[str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A retain as far as it goes outside its turn; `commit` is the head's when documents and operation were read."""

    drafts: tuple[DocumentDraft, ...]
    merges: tuple[Merge, ...]
    embedded: Mapping[str, Embedded]
    operation: Record | None
    commit: int


class Preparer:
    """Prepares the retains of one bank; nothing here depends on the order of commands."""

    def __init__(self, scope: Scope, ports: BankPorts, size_bytes: int) -> None:
        self._scope = scope
        self._ports = ports
        self._size_bytes = size_bytes

    async def draft(self, command: Retain) -> tuple[DocumentDraft, ...]:
        """The documents of a command.

        Raises:
            Unprocessable: the command contradicts itself.
        """
        return await beside_loop(self._size_bytes, draft_documents, self._scope, command, self._ports.clock.now())

    async def prepare(self, command: Retain, drafts: tuple[DocumentDraft, ...], commit: int) -> Prepared:
        """Everything of a retain but its turn; `commit` is the head's as the owner knows it."""
        documents, operations = await self.read(tuple(draft.id for draft in drafts), command.operation_id)
        operation = operations.get(command.operation_id)
        if operation is not None:
            return Prepared(drafts, (), {}, operation, commit)
        merges = await self.merge(drafts, documents)
        return Prepared(drafts, merges, await self.embed_new(merges, {}), None, commit)

    async def merge(self, drafts: Sequence[DocumentDraft], stored: Mapping[str, Stored]) -> tuple[Merge, ...]:
        """The drafts laid over what is stored of them."""
        return await beside_loop(self._size_bytes, self._merge, drafts, stored)

    def _merge(self, drafts: Sequence[DocumentDraft], stored: Mapping[str, Stored]) -> tuple[Merge, ...]:
        merges = []
        for draft in drafts:
            found = stored.get(draft.id)
            document, missing = (found.document, found.missing) if found else (None, frozenset[str]())
            merges.append(merge_document(self._scope, document, draft, missing))
        return tuple(merges)

    async def read(self, ids: tuple[str, ...], operation_id: str) -> tuple[dict[str, Stored], dict[str, Record]]:
        """What is stored of the documents and the operation; of damaged documents, which chunks are missing."""
        calls = (GetRecords(RecordKind.DOCUMENT, ids), GetRecords(RecordKind.OPERATION, (operation_id,)))
        reads: Batch[dict[str, Record]] = Batch(calls)
        found, operations = await self._ports.store.perform(self._scope, reads)
        stored = {}
        for id_, record in found.items():
            document = decode_document(id_, record.body)
            missing: frozenset[str] = frozenset()
            if record.status == DAMAGED:
                chunks = tuple(entry.unit_id for entry in document.chunks)
                missing = frozenset(chunks) - await self._ports.store.perform(self._scope, FindLive(chunks))
            stored[id_] = Stored(document, missing)
        return stored, operations

    async def embed_new(self, merges: Sequence[Merge], have: Mapping[str, Embedded]) -> dict[str, Embedded]:
        """Vectors of the merges' new chunks by content hash: what is at hand, else the stored one, else a new one."""
        wanted = {
            chunk.content_hash: chunk for merge in merges for _, chunk in merge.new if chunk.content_hash not in have
        }
        if not wanted:
            return dict(have)
        stored = await self._stored_vectors(merges, wanted)
        missing = [content for content in wanted if content not in stored]
        vectors = await self._ports.embed([wanted[content].dense_text for content in missing])
        found = stored | dict(zip(missing, vectors, strict=True))
        texts = [chunk.text for chunk in wanted.values()]
        tokens = await beside_loop(self._size_bytes, self._ports.tokenizer.count, texts)
        made = {content: Embedded.of(found[content], count) for content, count in zip(wanted, tokens, strict=True)}
        return {**have, **made}

    async def _stored_vectors(self, merges: Sequence[Merge], wanted: Mapping[str, ChunkDraft]) -> dict[str, Embedding]:
        """A chunk whose text stays and whose tags or speaker change is a new unit with the old vectors."""
        units = {
            entry.unit_id: entry.content_hash
            for merge in merges
            for entry in merge.retired
            if entry.content_hash in wanted
        }
        if not units:
            return {}
        found = await self._ports.store.perform(self._scope, GetEmbeddings(tuple(units)))
        spaces = await self._ports.spaces()
        whole = {units[unit]: vectors.in_spaces(spaces) for unit, vectors in found.items()}
        return {content: vectors for content, vectors in whole.items() if vectors is not None}
