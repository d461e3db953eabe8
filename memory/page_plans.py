"""Plans of what is done to the folders of knowledge pages."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from memory.errors import Conflict, NotFound
from memory.ingest import BankView, bare_plan, counted
from memory.knowledge_pages import FOLDERS, MAX_FOLDERS, Folder, below, check_folder, encode_folder
from memory.mental_models import FOLLOWING, MODELS, MentalModel
from memory.plans import Plan
from memory.records import RecordKind
from memory.reflect_commands import DeleteFolder, DeleteModel, PutFolder
from memory.reflect_plans import plan_delete_model

COMMAND = "folders"


def plan_put_folder(view: BankView, command: PutFolder, folders: Mapping[str, Folder], now: datetime) -> Plan:
    """Plan that makes a folder, renames or moves one.

    Raises:
        NotFound: there is none to change, or no such parent.
        Conflict: the bank has too many, or it cannot stand there.
    """
    found = folders.get(command.folder_id)
    if command.create:
        if view.head.counters.get(FOLDERS, 0) >= MAX_FOLDERS:
            raise Conflict(f"a bank has at most {MAX_FOLDERS} folders")
        folder = Folder(id=command.folder_id, created_at=now, **command.changes)
    elif found is None:
        raise NotFound(f"bank {view.scope.bank!r} has no folder {command.folder_id!r}")
    else:
        folder = replace(found, **command.changes)
    check_folder(folder, folders)
    plan = bare_plan(view, COMMAND, command.operation_id, now, (encode_folder(folder),))
    return counted(plan, {FOLDERS: int(command.create)})


def plan_delete_folder(
    view: BankView, command: DeleteFolder, folders: Mapping[str, Folder], models: Sequence[MentalModel], now: datetime
) -> Plan:
    """Plan that removes a folder with all folders and pages in it."""
    gone = below(command.folder_id, folders)
    pages = [model for model in models if model.page and model.folder_id in gone]
    parts = [plan_delete_model(view, DeleteModel(command.operation_id, page.id), page, now) for page in pages]
    changes = {FOLDERS: -len(gone), MODELS: -len(pages), FOLLOWING: -sum(page.follows for page in pages)}
    records = tuple(record for part in parts for record in part.records)
    plan = counted(bare_plan(view, COMMAND, command.operation_id, now, records), changes)
    removed = (one for part in parts for one in part.remove)
    return replace(plan, remove=(*((RecordKind.FOLDER, id_) for id_ in sorted(gone)), *removed))
