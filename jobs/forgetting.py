"""Export, see that what was written is whole, then delete: nothing goes that is not in the files as it was."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from jobs.deleting import Deleted, delete_bank, each_bank
from jobs.exporting import export_bank
from jobs.patience import patiently
from jobs.tables import MANIFEST, BankExport, Manifest, check, read_manifest, read_table, write_manifest
from jobs.whole_files import write_whole
from memory.bank_profile import address_of
from memory.commands import DeleteDocument, DeleteSession
from memory.errors import BadSettings, NotFound, StoreDamaged, Unavailable
from memory.ids import Scope

if TYPE_CHECKING:
    from actors.client import BankClient

REQUEST = "forget.json"
"""What is to be forgotten, so that a run that goes on forgets nothing else."""
PASSES = 5


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to go: banks with all they hold, or documents of one bank."""

    tenant: str
    banks: tuple[str, ...]
    documents: tuple[str, ...] | None = None

    def as_json(self) -> dict[str, Any]:
        """Ready for JSON, in a form that is equal where the selection is."""
        return {**asdict(self), "banks": list(self.banks), "documents": self.documents and list(self.documents)}


@dataclass(slots=True)
class Forgotten:
    """What a run has done."""

    exported: int = 0
    """Bytes in files whose checksums are right."""
    deleted: Deleted = field(default_factory=Deleted)
    gone: list[str] = field(default_factory=list)
    """Banks or documents that are not there any more."""
    changed: list[str] = field(default_factory=list)
    """Those that were written to after they were exported, and stay."""


async def select(
    client: "BankClient", tenant: str, bank: str | None, user: str | None, documents: Sequence[str], tags: Sequence[str]
) -> Selection:
    """What a request names.

    Raises:
        NotFound: nothing is there of what it names.
        BadSettings: it names documents of no bank.
    """
    if user is not None:
        names = [name async for name in each_bank(client, tenant)]
        heads = [(name, await client.find_head(Scope(tenant, name))) for name in names]
        addresses = [(name, address_of(head.profile)) for name, head in heads if head is not None]
        banks = tuple(sorted(name for name, address in addresses if address is not None and address.user == user))
        if not banks:
            raise NotFound(f"tenant {tenant!r} has no bank whose scope names user {user!r}")
        return Selection(tenant, banks)
    if bank is None:
        raise BadSettings("say what to forget: --bank, --user, or --bank with --document or --tag")
    scope = Scope(tenant, bank)
    if await client.find_head(scope) is None:
        raise NotFound(f"tenant {tenant!r} has no bank {bank!r}")
    if not documents and not tags:
        return Selection(tenant, (bank,))
    found = set(await client.get_documents(scope, tuple(documents)))
    if missing := sorted(set(documents) - found):
        raise NotFound(f"bank {bank!r} has no document {missing[0]!r}")
    if tags:
        found |= {id_ async for id_ in _tagged(client, scope, frozenset(tags))}
    if not found:
        raise NotFound(f"bank {bank!r} has no document with {' or '.join(tags)}")
    return Selection(tenant, (bank,), tuple(sorted(found)))


async def _tagged(client: "BankClient", scope: Scope, tags: frozenset[str]) -> Any:
    offset = 0
    while page := (await client.list_documents(scope, limit=256, offset=offset)).documents:
        for document in page:
            if not tags.isdisjoint(document.tags):
                yield document.id
        offset += len(page)


def begin(to: Path, selection: Selection) -> None:
    """Note what is to go; a directory of another request is refused.

    Raises:
        BadSettings: it holds something else.
    """
    path = to / REQUEST
    if path.is_file():
        if orjson.loads(path.read_bytes()) != orjson.loads(orjson.dumps(selection.as_json())):
            raise BadSettings(f"{to} holds what another request asked to be forgotten: give another directory")
        return
    if to.is_dir() and any(to.iterdir()):
        raise BadSettings(f"{to} holds other files: give an empty or new directory")
    to.mkdir(parents=True, exist_ok=True)
    write_whole(path, selection.as_json())


def begun(to: Path) -> Selection | None:
    """What an earlier run was asked to forget; None where there was none."""
    path = to / REQUEST
    if not path.is_file():
        return None
    body: Mapping[str, Any] = orjson.loads(path.read_bytes())
    documents = body["documents"]
    return Selection(body["tenant"], tuple(body["banks"]), tuple(documents) if documents is not None else None)


async def forget(
    client: "BankClient", selection: Selection, to: Path, patience_s: float, advance: Callable[[], None]
) -> Forgotten:
    """Export what is not exported yet, check every file, then delete.

    Raises:
        StoreDamaged: a file is not as it was written; nothing is deleted.
        Unavailable: a bank was written to all the time; nothing is deleted.
    """
    done = Forgotten()
    manifest = await _exported(client, selection, to)
    for bank in manifest.banks:
        check(to / "banks", bank)
        _count(to / "banks", bank)
        done.exported += sum(file.size_bytes for files in bank.tables.values() for file in files)
    for bank in manifest.banks:
        scope = Scope(selection.tenant, bank.bank)
        if selection.documents is None:
            await _forget_bank(client, scope, bank, done, patience_s)
            advance()
        else:
            seqs = {
                row["id"]: row["seq"] for row in read_table(to / "banks" / bank.directory, bank.tables["documents"])
            }
            for document_id in selection.documents:
                await _forget_document(client, scope, document_id, seqs.get(document_id), done, patience_s)
                advance()
    return done


async def _exported(client: "BankClient", selection: Selection, to: Path) -> Manifest:
    if (to / MANIFEST).is_file():
        return read_manifest(to)
    only = frozenset(selection.documents) if selection.documents is not None else None
    (to / "banks").mkdir(parents=True, exist_ok=True)
    banks = []
    for name in selection.banks:
        scope = Scope(selection.tenant, name)
        for _ in range(PASSES):
            head = await client.find_head(scope)
            if head is None:
                break
            exported = await export_bank(client, scope, head, to / "banks", lambda _: None, only)
            if only is not None or exported.highest_seq == head.seq:
                banks.append(exported)
                break
        else:
            raise Unavailable(f"bank {name!r} is written to all the time: stop whoever writes to it", 1.0)
    manifest = Manifest(selection.tenant, banks[0].created_at or "", tuple(banks)) if banks else None
    if manifest is None:
        raise NotFound("nothing of what was asked for is there any more")
    write_manifest(to, manifest)
    return manifest


def _count(place: Path, bank: BankExport) -> None:
    """See that files can be read, with as many rows as were written."""
    for table, files in bank.tables.items():
        rows = sum(1 for _ in read_table(place / bank.directory, files))
        if rows != bank.counts.get(table, 0):
            raise StoreDamaged(
                f"{place / bank.directory}: {table} has {rows} rows, {bank.counts.get(table)} were written"
            )


async def _forget_bank(
    client: "BankClient", scope: Scope, exported: BankExport, done: Forgotten, patience_s: float
) -> None:
    head = await client.find_head(scope)
    if head is not None and head.seq != exported.highest_seq:
        done.changed.append(scope.bank)
        return
    await delete_bank(client, scope, done.deleted, patience_s)
    done.gone.append(scope.bank)


async def _forget_document(
    client: "BankClient", scope: Scope, document_id: str, seq: int | None, done: Forgotten, patience_s: float
) -> None:
    found = (await client.get_documents(scope, (document_id,))).get(document_id)
    if found is None:
        done.gone.append(document_id)
        return
    if seq is None or found.seq != seq:
        done.changed.append(document_id)
        return
    if found.open:
        session = DeleteSession(uuid4().hex, document_id)
        units = (await patiently(patience_s, lambda: client.delete_session(scope, session))).units_deleted
    else:
        command = DeleteDocument(uuid4().hex, document_id)
        units = (await patiently(patience_s, lambda: client.delete_document(scope, command))).units_deleted
    done.deleted.documents += 1
    done.deleted.units += units
    done.gone.append(document_id)
