"""`python -m serve_app.main`: the server in the foreground, which is what `lorebank up` turns into.

Exit codes: 0 stopped as asked, 1 something failed, 2 an operator must act (the one line on stderr says what to do).
"""

import argparse
import ipaddress
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from actors.data_lock import DataLock
from actors.sessions import temp_dir_of
from actors.settings import Settings, load_settings
from memory.errors import LorebankError, OperatorAction
from serve_app.ports import reserve_port
from serve_app.progress import progress, write_line
from serve_app.stop_signals import interrupt, on_signals

EXIT_FAILED = 1
EXIT_OPERATOR = 2
ROOT = Path(__file__).resolve().parent.parent

RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Idle workers keep the embedding model; Ray would end them after a second and load it anew for the next batch.
    "RAY_idle_worker_killing_time_threshold_ms": str(24 * 3_600_000),
    # Nobody reads Ray's own records of every task and event here, and they cost a part of each message.
    "RAY_task_events_report_interval_ms": "0",
    "RAY_event_stats": "0",
    # Serve's controller looks ten times a second whether replicas are to be changed; they are not, once they run.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",
    # Serve ends its proxy if it does not answer within five seconds of its start, and our start fails with it: a busy
    # machine takes longer. Who starts Serve waits for the proxy for a minute.
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
    # A call to an actor that has died fails at once, and is sent again. Ray would wait one to two seconds to be told
    # why, and the actor is mostly back by then.
    "RAY_timeout_ms_task_wait_for_death_info": "0",
    "RAY_preload_python_modules": "actors.spare_imports",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.proxy_problems:proxy_middlewares",
}
"""What Ray reads when it is imported and hands down to its processes."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server; the exit code."""
    given = vars(_parser().parse_args(arguments))
    del given["no_ui"]
    on_signals(interrupt)
    try:
        _run(load_settings(**given))
    except KeyboardInterrupt:
        _complain("stopped before it was ready")
    except OperatorAction as exc:
        _complain(exc)
        return EXIT_OPERATOR
    except LorebankError as exc:
        _complain(exc)
        return EXIT_FAILED
    return 0


def _run(settings: Settings) -> None:
    port = reserve_port(settings.host, settings.port)
    with DataLock(settings.data):
        _warn_if_open(settings)
        set_ray_environment()
        # Ray reads its environment when it is imported.
        from serve_app.local_server import run_server  # noqa: PLC0415 - not where the help is shown

        run_server(settings, port, temp_dir_of(settings.data), progress())


def set_ray_environment() -> None:
    """Set what Ray's processes inherit; an authentication mode the operator chose stays."""
    os.environ.update(RAY_ENVIRONMENT)
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))


def _parser() -> argparse.ArgumentParser:
    """One flag per setting, by its name; one not given is read from the environment or lorebank.toml."""
    parser = argparse.ArgumentParser(prog="lorebank up", description="Run the server until Ctrl-C.")
    parser.add_argument("--no-ui", action="store_true", help="do not serve web pages")
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f" (default: {field.default})"
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, help=f"LOREBANK_{name.upper()}{default}")
    return parser


def _warn_if_open(settings: Settings) -> None:
    try:
        loopback = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = settings.host == "localhost"
    if not loopback and settings.api_keys is None:
        _complain(f"{settings.host} is reachable from other machines, and no api_keys are set")


def _complain(what: object) -> None:
    write_line(sys.stderr, f"lorebank: {what}")


if __name__ == "__main__":
    sys.exit(main())
