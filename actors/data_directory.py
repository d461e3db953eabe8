"""Work on a whole data directory: backup, restore, inspection. With a server on it, through its storage shards."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from actors.calls import ask
from actors.data_lock import DataLock
from actors.sessions import address_on
from actors.settings import NAMESPACE
from actors.storage_shard import shard_name
from actors.wiring import (
    begin_backup,
    copy_closed,
    find_damage,
    finish_backup,
    remove_unfinished,
    restore_backup,
    shard_names,
)
from memory.errors import LorebankError, StoreLocked, Unavailable

COPY_TIMEOUT_S = 3600.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """A backup, or what was restored from it."""

    id: str
    created_at: str
    files: int
    points: Mapping[str, Mapping[str, int]]
    """Per storage shard, the points of each collection."""


def back_up(data: Path, target: Path, say: Say) -> Copied:
    """Copy a data directory; everything acknowledged before this was called is in the copy.

    With a server on it each storage shard copies itself between two writes; reads go on, writes wait for the copy.

    Raises:
        BadSettings: `data` is no data directory, or the target is not empty.
        StoreDamaged: a shard cannot be opened.
        Unavailable: another process holds the directory and is no server that can be reached.
    """
    names = shard_names(data)
    begin_backup(target)
    try:
        try:
            with DataLock(data, patience_s=0.0):
                copy = copy_closed(data)
                counts = {}
                for name in names:
                    say(f"copying {name}")
                    counts[name] = copy(name, target / name)
                manifest = finish_backup(data, target, counts, say)
        except StoreLocked as locked:
            counts = asyncio.run(_copy_running(_address(data, locked), names, target.absolute(), locked, say))
            manifest = finish_backup(data, target, counts, say)
    except BaseException:
        remove_unfinished(target)
        raise
    return Copied(manifest.id, manifest.created_at, len(manifest.files), manifest.counts)


def restore(backup: Path, data: Path, say: Say) -> Copied:
    """Check a backup and copy it to an empty data directory.

    Raises:
        StoreDamaged: the backup is not whole, or damaged.
        SchemaMismatch: it was made by a newer version.
        BadSettings: the data directory is not empty.
        StoreLocked: a server uses the data directory.
    """
    with DataLock(data, patience_s=0.0):
        manifest = restore_backup(backup, data, say)
    return Copied(manifest.id, manifest.created_at, len(manifest.files), manifest.counts)


def inspect(data: Path) -> list[str]:
    """What is wrong with a directory that no server has open, in sentences.

    Raises:
        StoreLocked: a server uses it.
        BadSettings, SchemaMismatch, StoreDamaged: it cannot be opened; says why.
    """
    with DataLock(data, patience_s=0.0):
        return find_damage(data)


def _address(data: Path, locked: StoreLocked) -> str:
    address = address_on(data.absolute())
    if address is None:
        raise Unavailable(f"{locked}; it is starting or stopping: try again")
    return address


async def _copy_running(
    address: str, names: list[str], target: Path, locked: StoreLocked, say: Say
) -> dict[str, dict[str, int]]:
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    try:
        ray.init(
            address=address,
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        counts = {}
        for index, name in enumerate(names):
            say(f"copying {name} while the server runs")
            shard: Any = ray.get_actor(shard_name(index), namespace=NAMESPACE)
            counts[name] = await ask(shard.copy_to.remote(target / name), COPY_TIMEOUT_S, name)
    except LorebankError:
        raise
    except (ConnectionError, ValueError) as exc:
        raise Unavailable(f"{locked}, and it cannot be reached: {exc}") from exc
    finally:
        ray.shutdown()
    return counts
