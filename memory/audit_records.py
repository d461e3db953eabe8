"""Audit of one bank's records: each by itself, documents with the units they list, commits with the head."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from memory.audit_units import UnitAudit
from memory.breaches import Audit, BreachKind, DocumentsSeen
from memory.cascade import DERIVED
from memory.encoding import decode_document, decode_head, decode_recall_profile, encode_head, instant_from_text
from memory.ids import record_id, unit_id
from memory.ingest import RECALL_PROFILE_KEY, document_hash
from memory.rebuilding import LastReceipt
from memory.records import ChunkEntry, Document, Head, RecordKind
from memory.sessions import OPEN, decode_part
from memory.stages import WAITING, pending_line
from memory.sweeping import HISTORY_COMMITS

REMOVED = "removed"
Payload = Mapping[str, Any]
_HEAD_KEYS = ("epoch", "commit", "settled", "seq")
_UNREADABLE = (KeyError, ValueError, TypeError, AttributeError, IndexError)


class RecordAudit:
    """Looks at every record once; units have been looked at before."""

    def __init__(self, audit: Audit, head: Head, units: UnitAudit) -> None:
        self._audit = audit
        self._head = head
        self._units = units
        self._settled = head.settled == head.commit
        self._commits: set[str] = set()
        self._removed = 0
        self._history = 0
        self._unknown: list[tuple[str, str, int]] = []
        self._last: dict[str, LastReceipt] = {}
        self._profile: Mapping[str, int] | None = {}
        self._waiting: list[str] = []
        """Records that somebody must look at when their time comes."""
        self.documents = DocumentsSeen()

    def look(self, point: str, payload: Payload) -> None:
        """Check one record."""
        audit = self._audit
        audit.records += 1
        try:
            kind, key = str(payload["kind"]), str(payload["key"])
            seq, epoch, order = int(payload["seq"]), int(payload["epoch"]), int(payload["order"])
            status, body = str(payload["status"]), json.loads(payload["body"])
        except _UNREADABLE as exc:
            self._unreadable(payload, point, exc)
            return
        where = f"{kind} {key!r}"
        self._look_at_owner(point, payload, kind, key)
        if kind == RecordKind.HEAD:
            self._look_at_head(payload, body)
            return
        self._removed += status == REMOVED
        self._history += kind == RecordKind.COMMIT and status != REMOVED
        if kind == RecordKind.COMMIT and not self._look_at_commit(key, order):
            return  # prepared and never committed: its seq may be any, and history takes it
        audit.highest_seq, audit.highest_epoch = max(audit.highest_seq, seq), max(audit.highest_epoch, epoch)
        if epoch > self._head.epoch:
            what = f"epoch {epoch} is above the head's {self._head.epoch}"
            audit.report(BreachKind.EPOCH, where, what, repairable=True)
        if seq > self._head.seq:
            what = f"seq {seq} is above the head's {self._head.seq}"
            audit.report(BreachKind.SEQ, where, what, repairable=True)
        if status == REMOVED:
            self._look_at_removed(kind, key, body)
        elif self._head.deleted and kind != RecordKind.COMMIT:
            audit.report(BreachKind.TOMBSTONE, where, "the bank was deleted", repairable=True)
            audit.remove.add((kind, key))
        elif kind == RecordKind.DOCUMENT:
            self._look_at_document(key, seq, body)
        elif kind == RecordKind.SESSION_PART:
            self._look_at_part(key, body)
        elif (kind == RecordKind.SESSION and status == OPEN) or (kind == RecordKind.STAGES and _is_waiting(status)):
            self._waiting.append(where)
        elif kind == RecordKind.RECALL_PROFILE and key == RECALL_PROFILE_KEY:
            self._look_at_profile(body)

    def look_at_operation(self, payload: Payload) -> None:
        """Compare an operation's receipt with the documents, all of which have been looked at before."""
        if payload.get("status") == REMOVED:
            return
        where = f"operation {payload.get('key')!r}"
        try:
            body = json.loads(payload["body"])
            seq = int(body.get("seq", 0))
            receipts = [(str(row[0]), int(row[1]), int(row[2])) for row in body.get("documents", ())]
        except _UNREADABLE as exc:
            self._audit.report(BreachKind.UNREADABLE, where, f"the body cannot be read: {exc!r}")
            return
        if seq > self._head.seq:
            self._audit.report(
                BreachKind.OPERATION, where, f"its receipt gives seq {seq}, the head is at {self._head.seq}"
            )
        if body.get("task_type") == "delete_document":
            deleted, document = self.documents.deleted, str(body.get("fingerprint"))
            deleted[document] = max(seq, deleted.get(document, seq))
        for document, version, given in receipts:
            if document not in self.documents:
                self._unknown.append((where, document, given))
                self._remember(document, body)
                continue
            now, at = self.documents.live.get(document, (version, given))
            # A document deleted and made anew since has a lower version, and yet a higher seq.
            if at < given or (at == given and now != version):
                what = (
                    f"its receipt gives version {version} of document {document!r}, which is at version {now}, seq {at}"
                )
                self._audit.report(BreachKind.OPERATION, where, what)

    def lost(self, document: str) -> LastReceipt | None:
        """What is told of a document that has no record and was not deleted; all operations were looked at before."""
        last = self._last.get(document)
        gone = last is None or document in self.documents or self.documents.deleted.get(document, -1) > last.seq
        return None if gone else last

    def look_at_rebuilt(self, document: Document) -> None:
        """Report a document that has lost its record alone, and count it as what it was."""
        audit = self._audit
        what = f"its record is lost; version {document.version} can be had from its {len(document.chunks)} chunks"
        audit.report(BreachKind.DOCUMENT_MISSING, f"document {document.id!r}", what, repairable=True)
        audit.rebuild[document.id] = document
        audit.counted["documents"] += 1
        self.documents.live[document.id] = (document.version, document.seq)
        self._look_at_chunks(document)

    def _remember(self, document: str, body: Payload) -> None:
        """Receipts are looked at in no order; the last one and the first one of the document's life count."""
        row = next(row for row in body["documents"] if row[0] == document)
        at = instant_from_text(body["created_at"])
        last = self._last.get(document)
        created, first = (last.created_at, last.first_seq) if last else (None, -1)
        if row[1] == 1 and row[2] > first:
            created, first = at, row[2]
        if len(row) > 6 and (last is None or row[2] >= last.seq):
            self._last[document] = LastReceipt(row[1], row[2], row[6], at, created, first)
        elif last is not None:
            self._last[document] = replace(last, created_at=created, first_seq=first)

    def conclude(self) -> None:
        """Report what the head says and the records do not."""
        for where, document, given in self._unknown:
            # Else it was found again, or its removed record was swept.
            if document not in self.documents and self.documents.deleted.get(document, -1) <= given:
                what = f"its receipt names document {document!r}, which has no record"
                self._audit.report(BreachKind.OPERATION, where, what)
        self._look_at_numbers()
        if not self._settled:
            what = f"commits {self._head.settled + 1} to {self._head.commit} are not applied in full"
            self._audit.report(BreachKind.UNSETTLED, "head", what, repairable=True)
        elif self._head.exists or not self._audit.counted["documents"]:
            self._look_at_counts()
        elif not self._head.deleted:
            what = "the bank has documents, and its head says it does not exist"
            self._audit.report(BreachKind.HEAD_EXISTS, "head", what, repairable=True)

    # -- one record

    def _unreadable(self, payload: Payload, point: str, exc: Exception) -> None:
        where = f"{payload.get('kind')} {payload.get('key')!r} at {point}"
        self._audit.report(BreachKind.UNREADABLE, where, f"the record cannot be read: {exc!r}")
        if payload.get("kind") == RecordKind.DOCUMENT:
            self.documents.unreadable.add(str(payload.get("key")))
        if payload.get("kind") == RecordKind.COMMIT:
            self._commits.add(str(payload.get("key")))

    def _look_at_owner(self, point: str, payload: Payload, kind: str, key: str) -> None:
        audit, scope = self._audit, self._audit.scope
        if point != record_id(scope, kind, key):
            audit.report(BreachKind.ID, f"{kind} {key!r} at {point}", "the id is not that of its bank, kind and key")
        if (payload.get("tenant"), payload.get("bank")) != (scope.tenant, scope.bank):
            what = f"its payload says tenant {payload.get('tenant')!r}, bank {payload.get('bank')!r}"
            audit.report(BreachKind.OWNER, f"{kind} {key!r}", what, repairable=kind != RecordKind.COMMIT)
            audit.rewrite.add((kind, key))

    def _look_at_head(self, payload: Payload, body: Payload) -> None:
        """What the compare-and-set and the scans look at is what the body says."""
        head = decode_head(body)
        status = "exists" if head.exists else "deleted" if head.deleted else "empty"
        wanted = {name: getattr(head, name) for name in _HEAD_KEYS}
        wanted |= {"status": status, "due_at": encode_head(head)["due_at"]}
        wrong = [name for name, value in wanted.items() if payload.get(name) != value]
        if wrong:
            what = f"{', '.join(wrong)} beside the body differ from what it says"
            # A head whose numbers differ lets no compare-and-set through, and so no plan.
            self._audit.report(BreachKind.HEAD_KEYS, "head", what, repairable=not {*wrong} & {*_HEAD_KEYS[:3]})

    def _look_at_commit(self, key: str, order: int) -> bool:
        """Whether the head names it."""
        head = self._head
        named = [number for number, name in head.commits.items() if name == key]
        if named:
            self._commits.add(key)
            if order not in named:
                what = f"the head names it as commit {named[0]}, it says {order}"
                done = named[0] <= head.settled  # the next commit forgets its name
                self._audit.report(BreachKind.COMMITS, f"commit {key!r}", what, repairable=done)
        elif order <= head.settled - 2 * HISTORY_COMMITS:
            what = f"commit {order} is kept, {HISTORY_COMMITS} settled ones are history"
            self._audit.report(BreachKind.HISTORY, f"commit {key!r}", what, repairable=True)
        return bool(named)

    def _look_at_removed(self, kind: str, key: str, body: Payload) -> None:
        if kind == RecordKind.DOCUMENT:
            self.documents.removed.add(key)
        if body:
            what = "it is removed and still has its content"
            self._audit.report(BreachKind.REMOVED, f"{kind} {key!r}", what, repairable=True)
            self._audit.remove.add((kind, key))

    def _look_at_profile(self, body: Payload) -> None:
        try:
            self._profile = {str(name): int(count) for name, count in decode_recall_profile(body).speakers.items()}
        except _UNREADABLE as exc:
            self._audit.report(BreachKind.UNREADABLE, "recall profile", f"the body cannot be read: {exc!r}")
            self._profile = None

    # -- documents

    def _look_at_document(self, key: str, seq: int, body: Payload) -> None:
        try:
            document = decode_document(key, body)
            self.documents.live[key] = (int(document.version), int(document.seq))
        except _UNREADABLE as exc:
            self._audit.report(BreachKind.UNREADABLE, f"document {key!r}", f"the body cannot be read: {exc!r}")
            self.documents.unreadable.add(key)
            return
        if not self._settled:
            return
        if document.version < 1 or document.seq > seq:
            what = f"version {document.version}, seq {document.seq} in a record of seq {seq}"
            self._audit.report(BreachKind.DOCUMENT_VERSION, f"document {key!r}", what)
        self._audit.counted["documents"] += 1
        self._look_at_chunks(document)

    def _look_at_part(self, key: str, body: Payload) -> None:
        """The chunks of an open session's last appends: they follow those that its document lists."""
        try:
            part = decode_part(body)
        except _UNREADABLE as exc:
            self._audit.report(BreachKind.UNREADABLE, f"session part {key!r}", f"the body cannot be read: {exc!r}")
            return
        if self._settled:
            for entry in part.chunks:
                self._count(entry)
                self._units.listed(part.session_id, part.version, entry)

    def _count(self, entry: ChunkEntry) -> None:
        self._audit.counted.update(("units", f"type:{entry.type.value}"))
        self._audit.speakers.update((entry.speaker,) if entry.speaker else ())

    def _look_at_chunks(self, document: Document) -> None:
        where = f"document {document.id!r}"
        audit, occurrences = self._audit, Counter[str]()
        sizes: list[int | None] = []
        for entry in document.chunks:
            self._count(entry)
            if entry.unit_id != unit_id(audit.scope, document.id, entry.digest, occurrences[entry.digest]):
                what = "the id is not that of its bank, document, content and occurrence"
                audit.report(BreachKind.ID, f"{where}, unit {entry.unit_id}", what)
            occurrences[entry.digest] += 1
            text_bytes = self._units.listed(document.id, document.version, entry)
            sizes.append(None if text_bytes is None else text_bytes + len(entry.separator.encode()))
        places = [entry.position for entry in document.chunks]
        if any(after <= before for before, after in pairwise(places)):
            audit.report(BreachKind.DOCUMENT_ORDER, where, "the positions of its chunks do not increase")
        if document.content_hash != document_hash(document.chunks, document.tail):
            audit.report(BreachKind.DOCUMENT_HASH, where, "the hash is not that of its chunks", repairable=True)
            audit.documents.add(document.id)
        known = [size for size in sizes if size is not None]
        found = sum(known) + len(document.tail.encode())
        if len(known) == len(sizes) and document.text_bytes != found:
            what = f"it says {document.text_bytes} bytes, its chunks have {found}"
            audit.report(BreachKind.DOCUMENT_SIZE, where, what, repairable=True)
            audit.documents.add(document.id)

    # -- the head

    def _look_at_numbers(self) -> None:
        head, audit = self._head, self._audit
        if head.settled > head.commit or any(not head.settled <= number <= head.commit for number in head.commits):
            what = f"settled {head.settled}, commit {head.commit}, named {sorted(head.commits)}"
            named = max(head.commits, default=0)  # what it names too low goes with the next commit
            audit.report(BreachKind.COMMITS, "head", what, repairable=max(named, head.settled) <= head.commit)
        for number in range(head.settled + 1, head.commit + 1):
            if number not in head.commits:
                audit.report(BreachKind.COMMIT_MISSING, "head", f"commit {number} is not settled and not named")
        for number, key in head.commits.items():
            if head.settled <= number <= head.commit and key not in self._commits:
                what = f"commit {number} is named {key!r} and not stored"
                audit.report(BreachKind.COMMIT_MISSING, "head", what, repairable=number <= head.settled)
        if head.epoch and not head.seq < head.seq_end:
            what = f"seq {head.seq} is not below the end of its block, {head.seq_end}"
            audit.report(BreachKind.SEQ_BLOCK, "head", what, repairable=True)
        swept_later = self._removed > 0 or (head.deleted and self._history > 0)
        if head.due_at is None and (head.settled < head.commit or swept_later):
            what = "a commit is not settled" if head.settled < head.commit else f"{self._removed} removed records wait"
            audit.report(BreachKind.DUE, "head", f"{what} and it is not due", repairable=True)
        elif head.due_at is None and self._waiting and self._settled:
            what = f"{self._waiting[0]} waits and the bank is never due"
            audit.report(BreachKind.DUE, "head", what, repairable=True)

    def _look_at_counts(self) -> None:
        if self.documents.unreadable:
            return
        ours = {"units", "documents", DERIVED} | {name for name in self._head.counters if name.startswith("type:")}
        said = {name: count for name, count in self._head.counters.items() if name in ours}
        found = {name: count for name, count in self._audit.counted.items() if count}
        if said != found:
            wrong = sorted(name for name in {*said, *found} if said.get(name) != found.get(name))
            what = ", ".join(f"{name} {said.get(name, 0)} instead of {found.get(name, 0)}" for name in wrong)
            self._audit.report(BreachKind.COUNTERS, "head", what, repairable=True)
        self._look_at_speakers()

    def _look_at_speakers(self) -> None:
        said, found = self._profile, dict(self._audit.speakers)
        if said is not None and said != found:
            wrong = sorted(name for name in {*said, *found} if said.get(name) != found.get(name))
            what = ", ".join(f"{name!r} {said.get(name, 0)} instead of {found.get(name, 0)}" for name in wrong[:5])
            self._audit.report(BreachKind.RECALL_PROFILE, "recall profile", what, repairable=True)


def _is_waiting(status: str) -> bool:
    return status == WAITING or status.startswith(pending_line(""))
