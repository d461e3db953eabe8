"""Where the servers on this machine keep Ray's files, and how another process finds the Ray of a running one."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import orjson

from memory.errors import BadSettings

_ADDRESS_FILE = "lorebank.json"


def temp_dir_of(data: Path) -> Path:
    """Directory of Ray's sockets and logs for a data directory; short, because socket paths are limited to 107 bytes.

    Raises:
        BadSettings: its parent belongs to another user.
    """
    parent = _parent()
    try:
        parent.mkdir(mode=0o700, exist_ok=True)
        owner = parent.lstat().st_uid
    except OSError as exc:
        raise BadSettings(f"{parent} cannot be used for Ray's sockets and logs: {exc.strerror}") from exc
    if owner != os.getuid():
        raise BadSettings(f"{parent} belongs to another user; remove it")
    return parent / hashlib.sha256(os.fsencode(data)).hexdigest()[:12]


def publish(temp_dir: Path, data: Path, address: str) -> None:
    """Let this user's other processes find this one's Ray, until `temp_dir` is removed or this process is gone."""
    session = {"address": address, "data": os.fsdecode(data), "pid": os.getpid()}
    part = temp_dir / f"{_ADDRESS_FILE}.part"
    part.write_bytes(orjson.dumps(session))
    part.replace(temp_dir / _ADDRESS_FILE)


def find_address(data: Path) -> str:
    """Address of the Ray to join: RAY_ADDRESS, else that of the server on `data`, else of the only one there is.

    Raises:
        BadSettings: no server of this user runs on this machine, or several do; the message says how to choose.
    """
    given = os.environ.get("RAY_ADDRESS")
    if given:
        return given
    running = {path: address for path, address in _sessions() if address}
    if data in running:
        return running[data]
    if len(running) == 1:
        return next(iter(running.values()))
    if running:
        names = ", ".join(sorted(map(str, running)))
        raise BadSettings(f"several servers run here ({names}): name one's directory in LOREBANK_DATA")
    raise BadSettings("no server of yours runs on this machine: start one, set RAY_ADDRESS, or name a directory")


def address_on(data: Path) -> str | None:
    """Address of the Ray of the server that runs on a data directory; None: none of this user does."""
    return dict(_sessions()).get(data)


def _sessions() -> Iterator[tuple[Path, str]]:
    """Data directory and Ray address of each server that runs."""
    for path in _parent().glob(f"*/{_ADDRESS_FILE}"):
        try:
            session = orjson.loads(path.read_bytes())
            os.kill(session["pid"], 0)
        except (OSError, ValueError, KeyError):  # it ended meanwhile, or was killed
            continue
        yield Path(session["data"]), str(session["address"])


def _parent() -> Path:
    return Path(f"/tmp/lorebank-{os.getuid()}")  # noqa: S108 - made for this user alone, checked before use
