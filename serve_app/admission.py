"""Admission: whose request it is, how many are worked on at once, and how long one may take."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from actors.settings import Settings
from lorebank.wire import check_id
from memory.errors import BadSettings, DeadlineExceeded, Overloaded, Unauthorized
from memory.ids import DEFAULT_TENANT
from serve_app.shares import Bounds, Shares

MAX_HANDLED = 96
"""Requests a replica works on at once; more are refused. Below Serve's own bound, whose refusals are plain text."""
OPEN_PATHS = frozenset(
    {"/health", "/health/ready", "/health/live", "/version", "/metrics", "/docs", "/docs/oauth2-redirect"}
    | {"/redoc", "/openapi.json"}
)
"""Paths that need no key and count towards no bound."""
_BANKS_PATH = "/banks/"


class ApiKeys:
    """Which key belongs to which tenant; keys are kept as hashes and compared in constant time."""

    def __init__(self, listed: str | None) -> None:
        """Keys as `key` or `key=tenant`, comma-separated; None: no authentication.

        Raises:
            BadSettings: an empty key, a tenant that is no name, or a key given twice.
        """
        self._tenants: dict[bytes, str] | None = None if listed is None else _parse_keys(listed)

    def tenant_of(self, headers: Mapping[str, str]) -> str:
        """Tenant of the request's bearer token.

        Raises:
            Unauthorized: no key, or one that is not known.
        """
        if self._tenants is None:
            return DEFAULT_TENANT
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthorized("an API key is required: Authorization: Bearer KEY")
        given = _hash(token.strip())
        found = None
        for known, tenant in self._tenants.items():
            if hmac.compare_digest(known, given):
                found = tenant
        if found is None:
            raise Unauthorized("the API key is not known")
        return found


class Admission:
    """ASGI middleware: tenant into the request's state, bounded numbers of requests, each within its deadline.

    One bank gets part of the requests a replica handles (`Shares`), so that its flood is refused here, where it costs
    least, and leaves room for the others.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._keys = ApiKeys(settings.api_keys.get_secret_value() if settings.api_keys else None)
        self._timeout_s = settings.request_timeout_s
        self._shares = Shares(Bounds(settings.bank_requests, settings.shared_bank_requests), time.monotonic)
        self._handled = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Admit a request and hand it on.

        Raises:
            Unauthorized: no valid key.
            Overloaded: the replica has enough to do, or enough for this bank.
            DeadlineExceeded: no answer in time.
        """
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        tenant = self._keys.tenant_of(Headers(scope=scope))
        scope.setdefault("state", {}).update(tenant=tenant, shares=self._shares)
        try:
            async with asyncio.timeout(self._timeout_s) as deadline:
                await self._admit(_bank_in(scope), scope, receive, send)
        except TimeoutError as exc:
            if not deadline.expired():
                raise
            raise DeadlineExceeded(f"no answer within {self._timeout_s:g} s", 1.0) from exc

    async def _admit(self, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        if not name:
            await self._handle(scope, receive, send)
            return
        async with self._shares.held((scope["state"]["tenant"], name)):
            await self._handle(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._handled >= MAX_HANDLED:
            raise Overloaded(f"{MAX_HANDLED} requests are being worked on", 1.0)
        self._handled += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._handled -= 1


def _bank_in(scope: Scope) -> str:
    """The bank a decoded path names; empty where it names none."""
    path: str = scope["path"]
    return path.partition(_BANKS_PATH)[2].partition("/")[0]


def _parse_keys(listed: str) -> dict[bytes, str]:
    tenants: dict[bytes, str] = {}
    for entry in listed.split(","):
        key, named, tenant = (part.strip() for part in entry.strip().rpartition("="))
        key, tenant = (key, tenant) if named else (tenant, DEFAULT_TENANT)
        try:
            check_id(tenant)
        except ValueError as exc:
            raise BadSettings(f"api_keys: a tenant {exc}; write KEY or KEY=TENANT, comma-separated") from exc
        if not key:
            raise BadSettings("api_keys: an empty key; write KEY or KEY=TENANT, comma-separated")
        if _hash(key) in tenants:
            raise BadSettings("api_keys: the same key is given twice")
        tenants[_hash(key)] = tenant
    return tenants


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
