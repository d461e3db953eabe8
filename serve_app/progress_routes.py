"""What became of what was asked: how far a bank's stages are, and the events of its commits."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from lorebank import wire
from memory.encoding import instant_to_text
from serve_app.body import JsonRoute
from serve_app.request_context import BANK, Bank, Client, json_response

router = APIRouter(route_class=JsonRoute)


@router.get(BANK + "/watermarks", response_model=wire.WatermarksResponse)
async def get_watermarks(bank: Bank, client: Client) -> Response:
    """How far each stage is; a stage that this server does not have is not listed."""
    marks = await client.read_watermarks(bank)
    stages = {
        stage: {
            "watermark": mark.seq,
            "lag": marks.accepted - mark.seq,
            "pending": mark.pending,
            "failed_count": mark.failed,
        }
        for stage, mark in marks.stages.items()
    }
    return json_response({"bank_id": bank.bank, "accepted": marks.accepted, "stages": stages})


@router.get(BANK + "/events", response_model=wire.EventListResponse)
async def list_events(
    bank: Bank, client: Client, after: Annotated[int, Query(ge=0, le=wire.MAX_COMMIT)] = 0
) -> Response:
    """What happened since commit `after`, oldest first: ask again with `last` for what follows.

    `missed` says that commits in between are no longer kept (the last 256 always are).
    """
    page = await client.read_events(bank, after)
    items = [
        {"commit": number, "type": event.type, "operation_id": event.operation_id, "at": instant_to_text(event.at)}
        for number, event in page.events
    ]
    return json_response({"bank_id": bank.bank, "items": items, "last": page.last, "missed": page.missed})
