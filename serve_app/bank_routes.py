"""Banks: create, change, look at, list, delete; their settings and statistics."""

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.responses import Response

from actors.client import BankClient
from lorebank import wire
from lorebank.wire.fields import JsonObject, RequestModel
from memory.bank_profile import DEFAULTS, SCOPE, TRAITS, overrides_of, read_profile, resolve_settings
from memory.cascade import DERIVED
from memory.commands import DeleteBank, UpdateBank
from memory.encoding import instant_to_text
from memory.errors import NotFound, TooLarge, Unprocessable
from memory.extraction.labels import ENTITY_LABELS, unreadable_label
from memory.ids import Scope
from memory.records import Head
from memory.retention import RULES, read_rules
from memory.staging import STAGED
from serve_app.body import JsonRoute
from serve_app.request_context import BANK, BANKS, Bank, Client, Limit, Offset, Tenant, json_response, scan
from serve_app.wire_to_core import to_address

router = APIRouter(route_class=JsonRoute, tags=["banks"])

MAX_SETTINGS = 100
"""Settings of one bank."""
DELETED_AT_ONCE = 16
"""Banks deleted by one request."""
_TYPE_COUNTER = "type:"


class ConfigUpdate(RequestModel):
    """Body of PATCH config: settings by name; those this version does not know are kept as given."""

    updates: JsonObject


class ConfigResponse(wire.ResponseModel):
    """Settings as they hold for the bank, and those that are its own."""

    bank_id: str
    config: dict[str, Any]
    overrides: dict[str, Any]


@router.put(BANK, response_model=wire.BankProfileResponse)
async def put_bank(bank: Bank, client: Client, body: wire.BankUpdateRequest) -> Response:
    """Create a bank, or change the given fields of one."""
    head = await _update(client, bank, _changes(body))
    return json_response(_profile_row(bank.bank, head, client.inherited_by(bank.tenant)))


@router.patch(BANK, response_model=wire.BankProfileResponse)
async def patch_bank(bank: Bank, client: Client, body: wire.BankUpdateRequest) -> Response:
    """Change the given fields of a bank that exists."""
    if await client.find_head(bank) is None:
        raise NotFound(f"no bank {bank.bank!r}")
    head = await _update(client, bank, _changes(body))
    return json_response(_profile_row(bank.bank, head, client.inherited_by(bank.tenant)))


@router.get(BANK, response_model=wire.BankProfileResponse)
@router.get(BANK + "/profile", response_model=wire.BankProfileResponse)
async def get_profile(bank: Bank, client: Client) -> Response:
    """Name, disposition and mission; the defaults for a bank nobody wrote to, which a first write creates."""
    return json_response(_profile_row(bank.bank, await _head(client, bank), client.inherited_by(bank.tenant)))


@router.delete(BANK, response_model=wire.DeleteResponse)
async def delete_bank(bank: Bank, client: Client) -> Response:
    """Delete a bank with all it holds. Deleting one that does not exist succeeds, with nothing deleted."""
    deleted = 0
    if await client.find_head(bank) is not None:
        receipt = await client.delete_bank(bank, DeleteBank(str(uuid.uuid4())))
        deleted = receipt.units_deleted
    message = f"bank {bank.bank} deleted with {deleted} memories"
    return json_response({"success": True, "message": message, "deleted_count": deleted})


@router.delete(BANKS, response_model=wire.DeleteTenantResponse)
async def delete_banks(
    tenant: Tenant, client: Client, confirm: Annotated[str, Query(max_length=wire.MAX_ID_CHARS)]
) -> Response:
    """Delete banks of the caller's tenant, whose name `confirm` repeats; again until `left` is 0."""
    if confirm != tenant:
        raise Unprocessable("confirm must be the name of the tenant whose banks are to be deleted")
    deleted = 0
    page = await client.list_banks(tenant, DELETED_AT_ONCE, 0)
    for name, _ in page.banks:
        deleted += (await client.delete_bank(Scope(tenant, name), DeleteBank(str(uuid.uuid4())))).units_deleted
    left = (await client.list_banks(tenant, 1, 0)).total
    banks = len(page.banks)
    message = f"{banks} banks deleted with {deleted} memories, {left} left"
    return json_response(
        {"success": True, "message": message, "deleted_count": deleted, "deleted_banks": banks, "left": left}
    )


@router.get(BANKS, response_model=wire.BankListResponse)
async def list_banks(
    tenant: Tenant,
    client: Client,
    limit: Limit = 100,
    offset: Offset = 0,
    q: Annotated[str | None, Query(max_length=wire.MAX_ID_CHARS)] = None,
) -> Response:
    """A page of the tenant's banks by id; `q` is looked for in ids and names."""
    if q:
        wanted = q.lower()
        kept, _ = await scan(
            lambda rows, start: _page(client, tenant, rows, start),
            lambda row: wanted in row[0].lower() or wanted in read_profile(row[0], row[1].profile).name.lower(),
        )
        found, total = kept[offset : offset + limit], len(kept)
    else:
        found, total = await _page(client, tenant, limit, offset)
    inherited = client.inherited_by(tenant)
    rows = [_list_row(name, head, inherited) for name, head in found]
    return json_response({"banks": rows, "total": total, "limit": limit, "offset": offset})


@router.get(BANK + "/config", response_model=ConfigResponse)
async def get_config(bank: Bank, client: Client) -> Response:
    """Settings of a bank."""
    return json_response(_config_row(bank.bank, await _head(client, bank), client.inherited_by(bank.tenant)))


@router.patch(BANK + "/config", response_model=ConfigResponse)
async def patch_config(bank: Bank, client: Client, body: ConfigUpdate) -> Response:
    """Change settings of a bank; with null one is no longer its own."""
    try:
        known = _changes(wire.BankUpdateRequest.model_validate(body.updates))
    except ValidationError as exc:
        raise Unprocessable(f"updates: {wire.problem_of_validation(exc).detail}") from exc
    other = {key: value for key, value in body.updates.items() if key not in wire.BankUpdateRequest.model_fields}
    unset = dict.fromkeys(key for key, value in body.updates.items() if value is None and key in DEFAULTS)
    head = await _update(client, bank, {**other, **known, **unset})
    return json_response(_config_row(bank.bank, head, client.inherited_by(bank.tenant)))


@router.delete(BANK + "/config", response_model=ConfigResponse)
async def delete_config(bank: Bank, client: Client) -> Response:
    """Drop a bank's own settings; its name stays."""
    head = await _head(client, bank)
    own = overrides_of(head.profile)
    if own:
        head = await _update(client, bank, dict.fromkeys(own))
    return json_response(_config_row(bank.bank, head, client.inherited_by(bank.tenant)))


@router.get(BANK + "/stats", response_model=wire.BankStatsResponse)
async def get_stats(bank: Bank, client: Client) -> Response:
    """Counts over a bank; zeros for one that does not exist."""
    head = await _head(client, bank)
    operations = await _count_operations(client, bank, head)
    state = await client.observing.find_state(bank, head) if head.exists and head.counters.get(DERIVED) else None
    by_type = {
        name.removeprefix(_TYPE_COUNTER): count
        for name, count in head.counters.items()
        if name.startswith(_TYPE_COUNTER)
    }
    return json_response(
        {
            "bank_id": bank.bank,
            "total_nodes": head.counters.get("units", 0),
            "total_links": 0,
            "total_documents": head.counters.get("documents", 0),
            "nodes_by_fact_type": by_type,
            "links_by_link_type": {},
            "links_by_fact_type": {},
            "links_breakdown": {},
            "pending_operations": operations.get("pending", 0) + operations.get("processing", 0),
            "failed_operations": operations.get("failed", 0),
            "operations_by_status": operations,
            "last_consolidated_at": instant_to_text(state.at) if state and state.at else None,
            "last_memory_write_at": _instant(head, "updated_at"),
            "pending_consolidation": state.pending if state else 0,
            "failed_consolidation": state.failed if state else 0,
            "total_observations": by_type.get("observation", 0),
            "seq": head.seq,
        }
    )


async def _count_operations(client: BankClient, bank: Scope, head: Head) -> dict[str, int]:
    """How many operations are in each state but completed; none are, where no document had stages to pass."""
    if not head.counters.get(STAGED):
        return {}
    states = ("pending", "processing", "failed", "cancelled")
    pages = [await client.list_operations(bank, limit=1, status=state) for state in states]
    return {state: page.total for state, page in zip(states, pages, strict=True)}


async def _head(client: BankClient, bank: Scope) -> Head:
    return await client.find_head(bank) or Head()


async def _update(client: BankClient, bank: Scope, changes: Mapping[str, Any]) -> Head:
    changes = dict(changes)
    address = changes.pop(SCOPE, None)
    if len(changes) > MAX_SETTINGS or len(str(changes)) > wire.MAX_CONTEXT_BYTES:
        raise TooLarge(f"a bank has at most {MAX_SETTINGS} settings, {wire.MAX_CONTEXT_BYTES} bytes in all")
    unreadable = unreadable_label(changes.get(ENTITY_LABELS))
    if unreadable is not None:
        raise Unprocessable(f"{ENTITY_LABELS}: {unreadable} is no label")
    read_rules(changes.get(RULES))
    if address is not None:
        return await client.stacks.update_bank(bank, changes, address)
    return await client.update_bank(bank, UpdateBank(str(uuid.uuid4()), changes))


async def _page(client: BankClient, tenant: str, limit: int, offset: int) -> tuple[list[tuple[str, Head]], int]:
    page = await client.list_banks(tenant, limit, offset)
    return list(page.banks), page.total


def _changes(body: wire.BankUpdateRequest) -> dict[str, Any]:
    """The settings a request changes, under the names they are stored by."""
    aliases = {"mission", "background", "disposition"}
    changes = {key: value for key, value in body.model_dump(exclude_unset=True).items() if key not in aliases}
    mission = body.mission_text()
    if mission is not None:
        changes["reflect_mission"] = mission
    changes.update({f"disposition_{trait}": value for trait, value in body.traits().items()})
    if body.scope is not None:
        changes[SCOPE] = to_address(body.scope)
    return changes


def _profile_row(bank: str, head: Head, inherited: Mapping[str, Any]) -> dict[str, Any]:
    profile = read_profile(bank, head.profile, inherited)
    return {
        "bank_id": bank,
        "name": profile.name,
        "disposition": {trait: profile.disposition[trait] for trait in TRAITS},
        "mission": profile.mission,
        "background": profile.mission,
        SCOPE: head.profile.get(SCOPE),
    }


def _list_row(bank: str, head: Head, inherited: Mapping[str, Any]) -> dict[str, Any]:
    row = _profile_row(bank, head, inherited)
    del row["background"]
    return {
        **row,
        "created_at": _instant(head, "created_at"),
        "updated_at": _instant(head, "updated_at"),
        "fact_count": head.counters.get("units", 0),
        "last_document_at": _instant(head, "updated_at") if head.counters.get("documents") else None,
        "last_write_at": _instant(head, "updated_at"),
    }


def _config_row(bank: str, head: Head, inherited: Mapping[str, Any]) -> dict[str, Any]:
    config = resolve_settings(head.profile, inherited)
    return {"bank_id": bank, "config": config, "overrides": overrides_of(head.profile)}


def _instant(head: Head, field: str) -> str | None:
    value = getattr(head, field)
    return None if value is None else instant_to_text(value)
