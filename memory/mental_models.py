"""Mental models: stored, refreshed answers to standing questions about a bank."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from cronsim import CronSim, CronSimError

from memory.encoding import instant_from_text, instant_to_micros, instant_to_text
from memory.errors import Unprocessable
from memory.filters import REMEMBERED, Between, Filter, TagsMatch, every, tags_filter
from memory.policy import sooner
from memory.records import Record, RecordKind, Source
from memory.tag_groups import group_filter

MODELS = "mental_models"
"""The head's counter of mental models; without one there is nothing to look after."""
FOLLOWING = "following_models"
"""The head's counter of those that are refreshed by themselves when evidence comes."""
MAX_MODELS = 200
"""Of one bank: all of them are read for each reflection."""
MAX_VERSIONS = 20
"""Earlier contents that are kept."""
MAX_ATTEMPTS = 5
RETRY_S = 30.0
"""Before a failed refresh is tried again; twice as long each time."""

CRON_FIELDS = 5

RefreshMode = Literal["full", "delta"]


@dataclass(frozen=True, slots=True)
class PendingRefresh:
    """A refresh that somebody asked for, or that the model's trigger did."""

    operation_id: str
    mode: RefreshMode
    asked_at: datetime
    not_before: datetime
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class MentalModel:
    """A standing question and its latest answer.

    trigger: as the wire has it (lorebank.wire.MentalModelTrigger). seen_seq: the bank's seq that the content knows of.
    sources: units it rests on, as they were then; reflection: based_on, usage and mode as they are shown. answered: the
    question that the content answers. lost: a source was deleted, and the content with it.
    """

    id: str
    name: str
    source_query: str
    created_at: datetime
    tags: tuple[str, ...] = ()
    max_tokens: int = 2048
    trigger: Mapping[str, Any] = field(default_factory=dict)
    content: str = ""
    version: int = 0
    seen_seq: int = 0
    sources: tuple[Source, ...] = ()
    reflection: Mapping[str, Any] | None = None
    answered: str = ""
    lost: bool = False
    pending: PendingRefresh | None = None
    refreshed_at: datetime | None = None
    full_refreshed_at: datetime | None = None
    failed_at: datetime | None = None
    failure: str = ""
    cron_at: datetime | None = None
    full_cron_at: datetime | None = None
    idle_day: str = ""
    idle_tokens: int = 0
    """What its refreshes that nobody asked for have cost on `idle_day`."""
    page: bool = False
    """Whether it is a knowledge page, in the folder named, or at the top."""
    folder_id: str = ""
    history: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """Versions that are kept, oldest first, each with the units it rests on."""

    @property
    def mode(self) -> RefreshMode:
        """How it is refreshed when nobody says how."""
        return "delta" if self.trigger.get("mode") == "delta" else "full"

    @property
    def follows(self) -> bool:
        """Whether new evidence has it refreshed."""
        return bool(self.trigger.get("refresh_after_consolidation"))

    @property
    def where(self) -> Filter:
        """Units it may be made of: by tag groups, else by its own tags."""
        if groups := self.trigger.get("tag_groups"):
            return every(*map(group_filter, groups))
        match: TagsMatch = self.trigger.get("tags_match") or ("all_strict" if self.tags else "any")
        return every(tags_filter(self.tags, match))

    def moved(self) -> Filter:
        """Units that its content does not know of."""
        return every(self.where, Between("seq", gte=self.seen_seq + 1), REMEMBERED)

    def least_s(self, least_s: float) -> float:
        """Seconds between refreshes that its trigger asks for, at least."""
        own = self.trigger.get("min_refresh_interval_seconds")
        return least_s if own is None else float(own)

    def due_at(self) -> datetime | None:
        """When the next refresh that is asked for, or scheduled, begins; evidence may make it earlier."""
        if self.pending is not None:
            return self.pending.not_before
        return sooner(self.cron_at, self.full_cron_at)

    def scheduled(self, now: datetime) -> "MentalModel":
        """With the next times of its schedules."""
        times = (next_time(self.trigger.get(name), now) for name in ("refresh_cron", "full_refresh_cron"))
        cron_at, full_cron_at = times
        return replace(self, cron_at=cron_at, full_cron_at=full_cron_at)

    def asked(self, operation_id: str, mode: RefreshMode, now: datetime) -> "MentalModel":
        """With a refresh pending; one that is pending already goes on, in the fuller mode of both."""
        if self.pending is None:
            return replace(self, pending=PendingRefresh(operation_id, mode, now, now))
        full = "full" in {mode, self.pending.mode}
        return replace(self, pending=replace(self.pending, mode="full" if full else "delta"))

    def failing(self, reason: str, now: datetime) -> "MentalModel":
        """After an attempt of the pending refresh failed: tried again later, or given up."""
        assert self.pending is not None
        attempts = self.pending.attempts + 1
        wait = timedelta(seconds=RETRY_S * 2 ** (attempts - 1))
        again = replace(self.pending, attempts=attempts, not_before=now + wait) if attempts < MAX_ATTEMPTS else None
        return replace(self, pending=again, failed_at=now, failure=reason)

    def emptied(self) -> "MentalModel":
        """Without content: the next refresh is a full one."""
        return replace(self, content="", sources=(), reflection=None, answered="", seen_seq=0)


def next_time(cron: str | None, after: datetime) -> datetime | None:
    """The next time of a cron expression, UTC; None where there is none.

    Raises:
        Unprocessable: it is no cron expression of five fields, or names a time that never comes.
    """
    if not cron:
        return None
    if len(cron.split()) != CRON_FIELDS:
        raise Unprocessable(f"{cron!r} is no cron expression of five fields")
    try:
        return next(CronSim(cron, after))
    except (CronSimError, StopIteration) as exc:
        raise Unprocessable(f"{cron!r} is no cron expression of five fields whose time comes") from exc


_INSTANTS = ("created_at", "refreshed_at", "full_refreshed_at", "failed_at", "cron_at", "full_cron_at")
_PLAIN = (
    *("name", "source_query", "max_tokens", "content", "version", "seen_seq", "reflection", "answered", "lost"),
    "failure",
)


def encode_model(model: MentalModel) -> Record:
    """Its record."""
    body: dict[str, Any] = {name: getattr(model, name) for name in _PLAIN}
    body |= {"tags": list(model.tags), "trigger": dict(model.trigger)}
    body |= {name: instant_to_text(at) for name in _INSTANTS if (at := getattr(model, name)) is not None}
    if model.idle_day:
        body["idle"] = [model.idle_day, model.idle_tokens]
    if model.page:
        body["folder"] = model.folder_id
    body["history"] = [[version, list(cited)] for version, cited in model.history]
    body["sources"] = [[source.unit_id, source.seq, source.content_hash] for source in model.sources]
    if (pending := model.pending) is not None:
        times = [instant_to_text(pending.asked_at), instant_to_text(pending.not_before)]
        body["pending"] = [pending.operation_id, pending.mode, *times, pending.attempts]
    return Record(RecordKind.MENTAL_MODEL, model.id, body, order=instant_to_micros(model.created_at))


def decode_model(record: Record) -> MentalModel:
    """Inverse of encode_model."""
    body = record.body
    given: dict[str, Any] = {name: body[name] for name in _PLAIN}
    given |= {name: instant_from_text(body[name]) for name in _INSTANTS if name in body}
    given["idle_day"], given["idle_tokens"] = body.get("idle", ("", 0))
    given["page"], given["folder_id"] = "folder" in body, body.get("folder", "")
    pending = None
    if "pending" in body:
        operation_id, mode, asked, not_before, attempts = body["pending"]
        times = instant_from_text(asked), instant_from_text(not_before)
        pending = PendingRefresh(operation_id, mode, *times, attempts)
    return MentalModel(
        id=record.key,
        tags=tuple(body["tags"]),
        trigger=body["trigger"],
        sources=tuple(Source(*source) for source in body["sources"]),
        pending=pending,
        history=tuple((version, tuple(cited)) for version, cited in body["history"]),
        **given,
    )


def version_record(model: MentalModel, now: datetime) -> Record:
    """Record of a content that is about to be replaced."""
    body = {
        "content": model.content,
        "version": model.version,
        "refreshed_at": instant_to_text(model.refreshed_at) if model.refreshed_at else None,
        "replaced_at": instant_to_text(now),
        "source_query": model.answered,
    }
    return Record(
        RecordKind.MODEL_VERSION, version_key(model.id, model.version), body, order=model.version, status=model.id
    )


def version_key(model_id: str, version: int) -> str:
    """Key of the record of one of a model's earlier contents."""
    return f"{model_id}/{version}"
