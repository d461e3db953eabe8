"""The server on one machine: start Ray, the actors and Serve; say when it is ready; wait; stop all of it."""

import logging
import os
import shutil
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import ray
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig

from actors.cluster import start_cluster, stop_cluster
from actors.settings import Settings
from memory.errors import Unavailable
from serve_app.app import build_for
from serve_app.guardian import Guardian
from serve_app.ports import ReservedPort
from serve_app.progress import write_line
from serve_app.ray_session import children, kill, start_ray, stop_ray
from serve_app.stop_signals import interrupt, on_signals

READY_TIMEOUT_S = 120.0
DRAIN_TIMEOUT_S = 6.0
"""How long requests that are being answered may take once the server stops."""
_POLL_S = 0.05
_PROXY_GRACE_S = 5.0
"""Serve's own deadline comes this much after ours, so that the answer to a slow request is ours."""

_QUIET = LoggingConfig(log_level="WARNING", enable_access_log=False)

Say = Callable[[str], None]


def run_server(settings: Settings, port: ReservedPort, temp_dir: Path, say: Say) -> None:
    """Run until SIGINT or SIGTERM; when this returns, every process it started is gone.

    Raises:
        OperatorAction: a setting, the model or the data directory cannot be used.
        RetryLater: a part did not come up in time.
    """
    with Guardian() as guardian:
        _run_guarded(settings, port, temp_dir, say, guardian)
    shutil.rmtree(temp_dir, ignore_errors=True)


def _run_guarded(settings: Settings, port: ReservedPort, temp_dir: Path, say: Say, guardian: Guardian) -> None:
    stop = threading.Event()
    ready = False
    try:
        say("starting Ray")
        start_ray(temp_dir, settings.data)
        # Ray has put handlers of its own in the place of those that main set.
        on_signals(interrupt)
        say(f"starting the actors on {settings.qdrant_url or settings.data}")
        with ThreadPoolExecutor(1) as beside:
            # Serve's own two processes need no actors of ours, and mostly wait for each other.
            proxy = beside.submit(_start_proxy, settings, port)
            start_cluster(settings)
            proxy.result()
        say("starting the HTTP replicas")
        serve.run(build_for(settings), name="lorebank", route_prefix="/", logging_config=_QUIET)
        _wait_until_ready(port.url)
        guardian.learned()
        ready = True
        write_line(sys.stdout, f"ready {port.url}")
        on_signals(lambda *_: stop.set())
        stop.wait()
    except (KeyboardInterrupt, SystemExit):
        # The latter is how Ray, while it starts, answers SIGTERM.
        say("interrupted")
    finally:
        on_signals(_force)
        say("stopping")
        try:
            if ready:
                _drain(say)
                stop_cluster(settings)
        finally:
            # Left to the interpreter's end, Ray would wait there for minutes for processes that are gone.
            if ray.is_initialized():
                stop_ray(spared=guardian.pid)


def _start_proxy(settings: Settings, port: ReservedPort) -> None:
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    port.release()
    serve.start(
        http_options=HTTPOptions(
            host=settings.host, port=port.number, request_timeout_s=settings.request_timeout_s + _PROXY_GRACE_S
        ),
        logging_config=_QUIET,
    )


def _wait_until_ready(url: str) -> None:
    """Ask for readiness until it is given.

    Raises:
        Unavailable: it was not given in time.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    said = ""
    while time.monotonic() < deadline_s:
        try:
            with direct.open(f"{url}/health/ready", timeout=5.0) as answer:
                if answer.status == 200:
                    return
        except OSError as exc:
            said = str(exc)
        time.sleep(_POLL_S)
    raise Unavailable(f"the server did not become ready within {READY_TIMEOUT_S:g} s: {said}")


def _drain(say: Say) -> None:
    """Take no more requests and let those that are running end."""
    draining = threading.Thread(target=serve.shutdown, daemon=True)
    draining.start()
    draining.join(DRAIN_TIMEOUT_S)
    if draining.is_alive():
        say("requests still running are given up")


def _force(*_: object) -> NoReturn:
    """A signal while stopping: kill what is left and go."""
    kill(children())
    write_line(sys.stderr, "stopped by force")
    os._exit(1)
