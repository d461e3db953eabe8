"""Hypothesis strategies for what banks hold."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from memory.records import (
    ChunkEntry,
    Document,
    Head,
    Link,
    RecallProfile,
    Record,
    RecordKind,
    Relinked,
    Source,
    Unit,
    UnitKind,
    UnitState,
    UnitType,
)

TEXT = st.text(max_size=60)
WORDS = st.text(min_size=1, max_size=12)
COUNT = st.integers(0, 1 << 53)
INSTANT = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - a naive one is meant
STRINGS = st.dictionaries(TEXT, TEXT, max_size=3)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 62), 1 << 62) | FINITE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
LOREM = (
    *("river", "stone", "cloud", "maple", "lantern", "quiet", "harbour"),
    *("winter", "apple", "bicycle", "garden", "thunder", "velvet", "copper"),
)
SENTENCE = st.lists(st.sampled_from(LOREM), min_size=1, max_size=8).map(" ".join)


def maybe(strategy):
    return st.none() | strategy


LINK = st.builds(Link, to=TEXT, type=TEXT, weight=FINITE)
SOURCE = st.builds(Source, unit_id=TEXT, seq=COUNT, content_hash=TEXT)
UNIT = st.builds(
    Unit,
    id=st.uuids().map(str),
    kind=st.sampled_from(UnitKind),
    type=st.sampled_from(UnitType),
    text=st.text(max_size=300),
    document_id=TEXT,
    content_hash=TEXT,
    position=st.integers(-(1 << 53), 1 << 53),
    state=st.sampled_from(UnitState),
    context=maybe(TEXT),
    born_version=COUNT,
    window=maybe(TEXT),
    seq=COUNT,
    epoch=COUNT,
    speaker=maybe(TEXT),
    role=maybe(TEXT),
    session=maybe(TEXT),
    occurred_start=maybe(INSTANT),
    occurred_end=maybe(INSTANT),
    mentioned_at=maybe(INSTANT),
    recorded_at=maybe(INSTANT),
    valid_from=maybe(INSTANT),
    valid_to=maybe(INSTANT),
    superseded_by=maybe(TEXT),
    category=maybe(TEXT),
    confidence=maybe(FINITE),
    language=maybe(TEXT),
    entities=st.lists(TEXT, max_size=3).map(tuple),
    links=st.lists(LINK, max_size=3).map(tuple),
    tags=st.lists(TEXT, max_size=3).map(tuple),
    metadata=STRINGS,
    actor_ids=STRINGS,
    sources=st.lists(SOURCE, max_size=3).map(tuple),
    mentions=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    claims=st.lists(st.tuples(TEXT, TEXT, maybe(TEXT), st.booleans(), st.booleans(), st.booleans()), max_size=2).map(
        tuple
    ),
    causes=st.lists(TEXT, max_size=2).map(tuple),
    sketch=maybe(TEXT),
    scoping=maybe(TEXT),
    proof_count=COUNT,
    expires_at=maybe(INSTANT),
    text_tokens=COUNT,
)
RELINKED = st.builds(
    Relinked,
    unit_id=TEXT,
    links=st.lists(LINK, max_size=3).map(tuple),
    superseded_by=maybe(TEXT),
    valid_to=maybe(INSTANT),
    valid_from=maybe(INSTANT),
    entities=st.lists(TEXT, max_size=3).map(tuple),
)
ENTRY = st.builds(
    ChunkEntry,
    unit_id=TEXT,
    digest=TEXT,
    content_hash=TEXT,
    position=st.integers(-(1 << 53), 1 << 53),
    separator=TEXT,
    speaker=maybe(TEXT),
    type=st.sampled_from(UnitType),
    item=COUNT,
)
DOCUMENT = st.builds(
    Document,
    id=TEXT,
    version=COUNT,
    seq=COUNT,
    chunks=st.lists(ENTRY, max_size=4).map(tuple),
    tail=TEXT,
    content_hash=TEXT,
    text_bytes=COUNT,
    created_at=INSTANT,
    updated_at=INSTANT,
    tags=st.lists(TEXT, max_size=3).map(tuple),
    metadata=STRINGS,
    context=maybe(TEXT),
    open=st.booleans(),
)
HEAD = st.builds(
    Head,
    epoch=COUNT,
    commit=COUNT,
    settled=COUNT,
    commits=st.dictionaries(COUNT, TEXT, max_size=3),
    seq=COUNT,
    seq_end=COUNT,
    due_at=maybe(INSTANT),
    deleted=st.booleans(),
    exists=st.booleans(),
    profile=st.dictionaries(TEXT, JSON, max_size=3),
    counters=st.dictionaries(TEXT, COUNT, max_size=3),
    created_at=maybe(INSTANT),
    updated_at=maybe(INSTANT),
    incomplete_before=maybe(INSTANT),
)
RECALL_PROFILE = st.builds(
    RecallProfile,
    speakers=st.dictionaries(TEXT, COUNT, max_size=3),
    seq=COUNT,
    reranking=st.booleans(),
    retention=maybe(st.lists(st.dictionaries(TEXT, JSON, max_size=2), max_size=2).map(tuple)),
)
RECORD = st.builds(
    Record,
    kind=st.sampled_from(RecordKind),
    key=TEXT,
    body=st.dictionaries(TEXT, JSON, max_size=3),
    order=COUNT,
    status=TEXT,
)
