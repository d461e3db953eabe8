"""Events: the outbox of a bank. They stand in its commits, so that an event and what it tells happen at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from memory.plans import Event, committed_whole, decode_events
from memory.protocol import Steps
from memory.records import Head, Record, RecordKind
from memory.store_calls import ListRecords, ReadHead, RecordPage
from memory.sweeping import HISTORY_COMMITS


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events after a commit, oldest first, each with the number of its commit.

    `last` is where to go on; `missed` says that commits after the one asked for are forgotten, and their events with
    them: at least the last HISTORY_COMMITS commits are kept.
    """

    events: tuple[tuple[int, Event], ...]
    last: int
    missed: bool = False


@dataclass(frozen=True, slots=True)
class ReadEvents:
    """Procedure that reads the events of the commits after number `after`, of at most `limit` commits."""

    after: int = 0
    limit: int = HISTORY_COMMITS

    def steps(self) -> Steps[EventPage]:
        """The events; plans that were prepared and never committed have none."""
        head: Head | None = yield ReadHead()
        if head is None or head.commit <= self.after:
            return EventPage((), self.after)
        page: RecordPage = yield ListRecords(RecordKind.COMMIT, 3 * HISTORY_COMMITS)
        known = committed_of(head, page.records)
        committed = [record for record in known if record.order > self.after][: self.limit]
        events = tuple((record.order, event) for record in committed for event in decode_events(record.body))
        last = committed[-1].order if committed else head.commit
        missed = not committed or committed[0].order > self.after + 1
        return EventPage(events, last, missed)


def committed_of(head: Head, records: Sequence[Record]) -> list[Record]:
    """Those commit records that were committed, oldest first: others are of plans that were only prepared."""
    whole = {record.key: record for record in records if not record.body.get("settled")}
    chain = {record.key for record in committed_whole(head, whole)}
    return sorted(
        (
            record
            for record in records
            if record.order <= head.commit and (record.key in chain or record.body.get("settled"))
        ),
        key=lambda record: record.order,
    )
