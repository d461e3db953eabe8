"""StorageShard: the Ray actor that owns one embedded directory, writes in turn and refuses stale epochs."""

import logging
import os
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import ray

from actors.fair_lock import FairLock
from actors.flush_rule import FlushRule
from actors.pulse import HEALTH, Pulse, own_pulse, with_pulse
from actors.read_socket import ReadSocket, own_socket_path
from actors.settings import Settings
from actors.wiring import ShardEngine, ShardRuns, open_shard
from actors.worker_process import is_restarted, keep_collections_short
from memory.audit_calls import ScopePage, Stray
from memory.errors import LorebankError, StaleEpoch, StoreDamaged, Unavailable
from memory.ids import Scope
from memory.protocol import Execute, Recover, TakeEpoch
from memory.records import Head, Unit
from memory.store_calls import HeadPage, Request, WriteRecords
from memory.upkeep_calls import AddVectors, DropVectors

T = TypeVar("T")
log = logging.getLogger("lorebank.storage_shard")

READERS = 16
SLICE_S = 0.005
"""For so long a write goes on while others wait; a small plan is done by then."""
SWITCH_INTERVAL_S = 0.0005
"""How long a thread may keep others from running: a recall asks for its turn some ten times beside a writer."""
TICK_S = 0.1
"""How often is looked whether there is something to sync or to flush."""
WRITE_BACK_BYTES = 256 << 10
"""From so much on, writing ahead of a flush makes it shorter."""


def shard_name(index: int) -> str:
    """Ray name of a shard's actor."""
    return f"storage-shard-{index}"


class StorageShard:
    """One directory, opened at the first call, so that a failure to open reaches the caller as its own error."""

    WRITES: ClassVar = (TakeEpoch, Execute, Recover, WriteRecords, AddVectors, DropVectors)

    def __init__(self, settings: Settings, index: int, space: Any) -> None:
        self._settings = settings
        self._index = index
        self._space = space
        self._engine: ShardEngine | None = None
        self._runs: ShardRuns | None = None
        self._given_up: StoreDamaged | None = None
        self._closed = threading.Event()
        self._opening = threading.Lock()
        self._writing = FairLock()
        self._rule = FlushRule(settings.engine_flush_interval_s, settings.flush_bytes)
        self._epochs: dict[str, int] = {}
        self._read_at_s = time.monotonic()
        self._disk: threading.Thread | None = None
        self._ahead: threading.Thread | None = None
        self._socket: ReadSocket | None = None

    def open(self) -> list[str]:
        """Open the directory if that has not happened yet; what was found lost then, in sentences.

        Raises:
            StoreLocked, StoreDamaged: it cannot be opened; says what to do.
        """
        return self._opened().losses

    def ping(self) -> dict[str, Any]:
        """That it lives and is open."""
        self._opened()
        return {"name": shard_name(self._index), "pid": os.getpid(), "banks": len(self._epochs)}

    @ray.method(concurrency_group=HEALTH)
    def pulse(self) -> Pulse:
        """That its process runs, whether its directory is open or not."""
        return own_pulse()

    def perform(self, scope: Scope, request: Request[T]) -> T:
        """Run a call or a procedure; writes one call at a time, in the order they came, reads beside them."""
        engine, runs = self._opened(), cast("ShardRuns", self._runs)
        if not isinstance(request, self.WRITES):
            return self._read(runs, scope, request)
        with self._writing:
            answer = self._write(engine, runs, scope, cast("Request[T]", request))
            self._end_of_writes(engine)
            return answer

    def read_directly(self, scope: Scope, request: Request[T]) -> T:
        """Run a call or a procedure that reads; what comes by the socket.

        Raises:
            TypeError: it writes.
        """
        if isinstance(request, self.WRITES):
            raise TypeError("only reads come by the socket")
        self._opened()
        return self._read(cast("ShardRuns", self._runs), scope, request)

    def _read(self, runs: ShardRuns, scope: Scope, request: Request[T]) -> T:
        self._read_at_s = time.monotonic()
        answer = runs.read(scope, request)
        self._read_at_s = time.monotonic()
        return answer

    def read_many(self, requests: list[tuple[Scope, Request[Any]]]) -> list[Any]:
        """Answers of several reads, of different banks, in order."""
        return [self.perform(scope, request) for scope, request in requests]

    def perform_many(self, requests: list[tuple[Scope, Request[Any]]]) -> list[Any]:
        """Answers of several writes of different banks, in order; in place of one that failed, its error.

        They are made to last together: with `durability = disk` one sync of the logs does for all.
        """
        engine, runs = self._opened(), cast("ShardRuns", self._runs)
        answers: list[Any] = []
        with self._writing:
            for scope, request in requests:
                try:
                    answers.append(self._write(engine, runs, scope, request))
                except LorebankError as exc:
                    answers.append(exc)
            self._end_of_writes(engine)
        return answers

    def _write(self, engine: ShardEngine, runs: ShardRuns, scope: Scope, request: Request[T]) -> T:
        held_s, paused = time.monotonic(), False

        def give_way() -> None:
            """A long plan lets those that wait pass between its calls: it may be left at any of them.

            They are other writers, or a flush. Whoever passes counts what the plan has written so far; from then on it
            counts each of its calls, so that a process killed in it is not taken for one that lost what was counted.
            """
            nonlocal held_s, paused
            if self._rule.is_full(engine.dirty_bytes, time.monotonic() - self._read_at_s):
                self._flush_ahead(engine)
                paused = True
            if paused:
                engine.count_operation()
            if self._writing.contended and time.monotonic() - held_s >= SLICE_S:
                self._writing.give_way()
                held_s, paused = time.monotonic(), True
                self._refuse(scope, request)

        self._refuse(scope, request)
        answer = runs.write(scope, request, give_way)
        if isinstance(answer, Head):
            self._epochs[scope.key] = max(answer.epoch, self._epochs.get(scope.key, 0))
        return answer

    def _end_of_writes(self, engine: ShardEngine) -> None:
        if self._closed.is_set():
            raise Unavailable("the store is closing")
        engine.count_operation()
        if self._settings.durability == "disk":
            engine.sync()

    def close(self) -> None:
        """Flush and close the directory for good; what is asked afterwards is refused."""
        with self._opening, self._writing:
            self._closed.set()
            if self._socket is not None:
                self._socket.close()
            if self._engine is not None:
                for thread in (self._disk, self._ahead):
                    if thread is not None:
                        thread.join()  # it uses files that are closed next
                self._engine.close()

    def wait_until_read_ahead(self) -> None:
        """Wait until what is read ahead after the opening is in memory."""
        self._opened()
        cast("threading.Thread", self._ahead).join()

    def copy_to(self, target: Path) -> dict[str, int]:
        """Copy the directory's files between two writes; reads go on. Points of each collection."""
        engine = self._opened()
        self._write_back(engine)
        with self._writing:
            if self._closed.is_set():
                raise Unavailable("the store is closing")
            self._write_back(engine)  # what was written since
            return engine.copy_to(target)

    def stored_spaces(self) -> frozenset[str]:
        """Spaces that units may have vectors of."""
        return self._opened().stored_spaces()

    def drop_space(self, space: str) -> None:
        """Let go of the vectors of a space, which nobody asks for."""
        engine = self._opened()
        with self._writing:
            engine.drop_space(space)
            self._end_of_writes(engine)

    def list_heads(self, tenant: str, limit: int, offset: int) -> HeadPage:
        """Heads of the tenant's banks in this shard."""
        return self._opened().list_heads(tenant, limit, offset)

    def list_due(self, now: datetime, limit: int) -> tuple[Scope, ...]:
        """Banks of this shard whose head is due."""
        return self._opened().list_due(now, limit)

    def find_unit(self, tenant: str, unit_id: str) -> tuple[Scope, Unit] | None:
        """A live unit by its bare id, if it belongs to the tenant."""
        return self._opened().find_unit(tenant, unit_id)

    def list_scopes(self, start: str | None, limit: int) -> ScopePage:
        """Banks of this shard that have a head."""
        return self._opened().list_scopes(start, limit)

    def list_strays(self) -> tuple[Stray, ...]:
        """Points of this shard whose bank has no head in it."""
        return self._opened().list_strays()

    def _refuse(self, scope: Scope, request: Any) -> None:
        """Complete fencing: one process writes, and it knows the highest epoch of each bank written since."""
        if self._closed.is_set():
            raise Unavailable("the store is closing")
        if isinstance(request, (Execute, Recover)):
            known = self._epochs.get(scope.key, 0)
            if request.head.epoch < known:
                raise StaleEpoch(f"bank {scope.bank!r} has epoch {known}; {request.head.epoch} may not write")

    def _opened(self) -> ShardEngine:
        if self._closed.is_set():
            raise Unavailable("the store is closing")
        if self._engine is not None:
            return self._engine
        with self._opening:
            if self._given_up is not None:
                raise StoreDamaged(str(self._given_up))
            if self._engine is None:
                try:
                    engine = open_shard(self._settings, self._index, self._space, again=is_restarted())
                except StoreDamaged as exc:
                    self._given_up = exc  # files do not mend themselves: loading them again would only take long
                    raise
                self._runs = ShardRuns(engine)
                sys.setswitchinterval(SWITCH_INTERVAL_S)
                self._disk = threading.Thread(target=self._keep_on_disk, args=(engine,), name="disk", daemon=True)
                self._disk.start()
                self._ahead = threading.Thread(target=self._read_ahead, args=(engine,), name="ahead", daemon=True)
                self._ahead.start()
                self._engine = engine
                self._listen()
                keep_collections_short()
        return self._engine

    def _listen(self) -> None:
        """Answer reads by a socket as well; without one they come by Ray."""
        path = own_socket_path(self._settings.data, self._index)
        if path is None:
            return
        try:
            self._socket = ReadSocket(path, self.read_directly)
        except OSError:
            log.exception("%s has no socket for direct reads, which will be slower", shard_name(self._index))

    def _keep_on_disk(self, engine: ShardEngine) -> None:
        """Bound what a power loss can take to one interval of writes, and the logs to what a start reads quickly."""
        settings = self._settings
        tick_s = min(settings.flush_interval_s, TICK_S)
        synced_s = flushed_s = time.monotonic()
        disk_s = 0.0
        while not self._closed.wait(tick_s):
            now_s = time.monotonic()
            if engine.unsynced and now_s - synced_s >= settings.flush_interval_s:
                self._sync(engine)
                synced_s = time.monotonic()
                disk_s = synced_s - now_s
            elif not engine.dirty_bytes:
                flushed_s = now_s
            if self._is_flush_due(engine, flushed_s, disk_s):
                if engine.dirty_bytes >= WRITE_BACK_BYTES:
                    self._write_back(engine)
                    if not self._is_flush_due(engine, flushed_s, disk_s):
                        continue  # somebody reads now
                if self._writing.acquire(tick_s):  # if not, a long call writes
                    try:
                        self._flush_ahead(engine)
                    finally:
                        self._writing.release()
                    flushed_s = time.monotonic()

    def _is_flush_due(self, engine: ShardEngine, flushed_s: float, disk_s: float) -> bool:
        now_s = time.monotonic()
        return self._rule.is_due(engine.dirty_bytes, now_s - flushed_s, now_s - self._read_at_s, disk_s)

    def _flush_ahead(self, engine: ShardEngine) -> None:
        """Flush while nobody may write: what was written since the files were written back goes first."""
        if engine.dirty_bytes >= WRITE_BACK_BYTES:
            self._write_back(engine)
        self._flush(engine)

    def _read_ahead(self, engine: ShardEngine) -> None:
        """What fails here fails again when it is read, or does not matter."""
        try:
            engine.read_ahead(self._settings.read_ahead_bytes, self._closed.is_set)
        except OSError:
            log.exception("%s cannot be read ahead", shard_name(self._index))

    def _sync(self, engine: ShardEngine) -> None:
        """A sync that fails is tried again: what was acknowledged is in the log, and a full disk may be emptied."""
        try:
            engine.sync()
        except LorebankError:
            log.exception("%s cannot be synced", shard_name(self._index))

    def _write_back(self, engine: ShardEngine) -> None:
        """What fails here fails again in the flush, or does not matter."""
        try:
            engine.write_back()
        except OSError:
            log.exception("%s cannot be written ahead of its flush", shard_name(self._index))

    def _flush(self, engine: ShardEngine) -> None:
        """A flush that fails is tried again: what was acknowledged is in the log, and a full disk may be emptied."""
        if self._closed.is_set():
            return
        try:
            engine.flush()
        except LorebankError:
            log.exception("%s cannot be flushed", shard_name(self._index))


StorageShardActor = with_pulse(StorageShard)
