"""What callers say of facts and entities by hand, and what they are shown of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from actors.clocks import SystemClock
from actors.cluster import Cluster
from actors.extraction import profile_of
from actors.extractors import preview_extractor
from actors.settings import Settings
from memory.bank_profile import overrides_of
from memory.commands import (
    CurateEntity,
    CurateFact,
    Item,
    ListEntities,
    OperationReceipt,
    ReprocessDocument,
    Retain,
)
from memory.curation import INVALIDATED, Curation, decode_curation
from memory.errors import Unprocessable
from memory.extraction.port import NotExtracted, WindowFact
from memory.facts import preview_document, window_request, windows_of
from memory.ids import Scope
from memory.known_facts import EntityPage
from memory.records import RecordKind
from memory.store_calls import GetRecords, ListRecords, ReadHead, Store, UnitPage

MAX_PREVIEW_CHARS = 20_000
"""Text that a preview reads: the rules take it in some 200 ms."""


class CurationClient:
    """Part of the door to the actors: BankClient.curation. Raises what BankClient's methods raise."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._store: Store = cluster.store
        self._settings = settings
        self._clock = SystemClock()

    async def curate_fact(self, scope: Scope, command: CurateFact) -> OperationReceipt:
        """Correct, invalidate or restore a fact.

        Raises:
            NotFound: no such fact.
            Conflict: it is a chunk, or invalidated and not to be restored.
        """
        receipt: OperationReceipt = await self._cluster.command(scope, command)
        return receipt

    async def curate_entity(self, scope: Scope, command: CurateEntity) -> OperationReceipt:
        """Name an entity, or make several one.

        Raises:
            NotFound: no fact mentions it.
        """
        receipt: OperationReceipt = await self._cluster.command(scope, command)
        return receipt

    async def list_entities(self, scope: Scope, command: ListEntities) -> EntityPage:
        """Entities as the bank's owner knows them; none of a bank that does not exist."""
        if (head := await self._store.perform(scope, ReadHead())) is None or not head.exists:
            return EntityPage((), {}, {}, 0)
        page: EntityPage = await self._cluster.command(scope, command)
        return page

    async def reprocess_document(self, scope: Scope, command: ReprocessDocument) -> OperationReceipt:
        """Have a document's facts found anew.

        Raises:
            NotFound: no such document.
            Conflict: extraction is off, or the document's session is open.
        """
        receipt: OperationReceipt = await self._cluster.command(scope, command)
        return receipt

    async def find_curation(self, scope: Scope, unit_id: str) -> Curation | None:
        """What was said of a fact by hand, if anything."""
        found = await self._store.perform(scope, GetRecords(RecordKind.CURATION, (unit_id,)))
        return decode_curation(found[unit_id]) if unit_id in found else None

    async def list_invalidated(self, scope: Scope, *, limit: int, offset: int = 0) -> UnitPage:
        """Facts that somebody said are not true, the last one first."""
        page = await self._store.perform(scope, ListRecords(RecordKind.CURATION, limit, offset, INVALIDATED))
        return UnitPage(tuple(decode_curation(record).unit for record in page.records), page.total)

    async def preview_extraction(
        self, scope: Scope, item: Item, overrides: Mapping[str, Any]
    ) -> tuple[list[WindowFact], str]:
        """Facts that would be found in an item, under the bank's settings and these, and who would find them.

        Raises:
            Unprocessable: the text is too long, blank, or cannot be read.
        """
        if len(str(item.content)) > MAX_PREVIEW_CHARS:
            raise Unprocessable(f"a preview reads at most {MAX_PREVIEW_CHARS} characters")
        head = await self._store.perform(scope, ReadHead())
        profile = profile_of({**(overrides_of(head.profile) if head else {}), **overrides})
        document = windows_of(preview_document(scope, Retain("preview", (item,)), self._clock.now()))
        requests = [window_request(scope, document, window, profile, "preview") for window in document.windows]
        extractor = preview_extractor(self._settings)
        found: list[WindowFact] = []
        for outcome in await extractor.extract(requests):
            if isinstance(outcome, NotExtracted):
                raise Unprocessable(outcome.reason)
            found.extend(outcome.facts)
        return found, extractor.name

    def now(self) -> datetime:
        """The instant that validity is looked at."""
        return self._clock.now()
