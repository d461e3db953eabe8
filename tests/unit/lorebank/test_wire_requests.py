"""Request models: what they accept, what they refuse, and that nothing but ValidationError comes out of them."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lorebank import wire
from lorebank.wire import fields

REQUESTS = (
    wire.RetainRequest,
    wire.RecallRequest,
    wire.ReflectRequest,
    wire.BankUpdateRequest,
    wire.UpdateDocumentRequest,
    wire.UpdateDispositionRequest,
)
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=12)
KNOWN_KEYS = sorted(
    {field.alias or name for model in REQUESTS for name, field in model.model_fields.items()}
    | {"content", "timestamp", "metadata", "role", "text", "type", "and", "or", "not", "start", "end", "facts", "tags"}
)
KNOWN_TEXTS = [
    "text",
    "unset",
    "user",
    "any",
    "world",
    "low",
    "2024-01-15",
    "0001-01-01T00:00:00+23:59",
    "per_tag",
    "x",
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT | st.sampled_from(KNOWN_TEXTS)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KNOWN_KEYS) | ANY_TEXT, inner, max_size=5)
    ),
    max_leaves=25,
)


def retain(**item: Any) -> wire.RetainRequest:
    return wire.RetainRequest.model_validate({"items": [{"content": "hello", **item}]})


def recall(**fields_: Any) -> wire.RecallRequest:
    return wire.RecallRequest.model_validate({"query": "who?", **fields_})


def nested_not(depth: int) -> dict[str, Any]:
    group: dict[str, Any] = {"tags": ["x"]}
    for _ in range(depth):
        group = {"not": group}
    return group


@given(
    body=st.dictionaries(st.sampled_from(KNOWN_KEYS), ANY_JSON, max_size=8) | ANY_JSON, pick=st.sampled_from(REQUESTS)
)
@settings(max_examples=200, deadline=None)
@example(body={"items": [{"content": [{"role": "\ud800", "content": "\ud800"}]}]}, pick=wire.RetainRequest)
def test_any_json_is_accepted_or_refused_with_a_printable_problem(body: Any, pick: type[wire.RetainRequest]) -> None:
    """Whatever JSON comes in, the outcome is a model that can be sent on, or a problem body that can be written."""
    try:
        model = pick.model_validate(body)
    except ValidationError as error:
        problem = wire.problem_of_validation(error)
        assert problem.status in {413, 422}
        json.dumps(problem.to_wire(), ensure_ascii=False).encode("utf-8")
    else:
        sent = json.dumps(model.to_wire(), ensure_ascii=False).encode("utf-8")
        assert pick.model_validate(json.loads(sent)) == model


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"content": ""}, "content must not be blank"),
        ({"content": " \n\t"}, "content must not be blank"),
        ({"content": "a\ud800"}, "lone surrogates"),
        ({"content": None}, "Field required"),
        ({"content": 7}, "a text, a list of text blocks or a list of messages"),
        ({"content": {"text": "x"}}, "a text, a list of text blocks or a list of messages"),
        ({"content": []}, "content must not be blank"),
        ({"content": [{"type": "text", "text": " "}]}, "content must not be blank"),
        ({"content": [{"type": "image", "source": {}}]}, "only content blocks of type text"),
        ({"content": [{"role": "user", "content": " "}]}, "content must not be blank"),
        ({"content": [{"role": "user", "content": "x"}, {"type": "text", "text": "x"}]}, "Field required"),
        ({"content": "x" * (wire.MAX_CONTENT_BYTES + 1)}, "content must not exceed"),
        ({"content": "é" * (wire.MAX_CONTENT_BYTES // 2 + 1)}, "content must not exceed"),
        ({"document_id": "a\x00b"}, "control characters"),
        ({"document_id": " "}, "must not be blank"),
        ({"document_id": ".."}, "which URLs drop"),
        ({"document_id": "x" * (wire.MAX_ID_CHARS + 1)}, "must not exceed 512 characters"),
        ({"timestamp": "yesterday"}, "ISO 8601"),
        ({"timestamp": 1700000000}, "ISO 8601"),
        ({"timestamp": "0001-01-01T00:00:00+05:00"}, "years 1 to 9999"),
        ({"metadata": {"a": 1}}, "valid string"),
        ({"metadata": {"a": "\udfff"}}, "lone surrogates"),
        ({"metadata": {str(n): "" for n in range(wire.MAX_METADATA_KEYS + 1)}}, "metadata must not exceed"),
        ({"tags": ["t"] * (wire.MAX_TAGS + 1)}, "at most 100"),
        ({"tags": [""]}, "must not be blank"),
        ({"update_mode": "merge"}, "'replace' or 'append'"),
        ({"observation_scopes": "every_tag"}, "per_tag"),
        ({"entities": [{"type": "person"}]}, "Field required"),
        ({"resolve_entities": "perhaps"}, "boolean"),
    ],
)
def test_bad_item_is_refused_with_a_reason(item: dict[str, Any], reason: str) -> None:
    """Each rule of an item names itself in the problem's detail."""
    with pytest.raises(ValidationError) as caught:
        retain(**item)
    assert reason in wire.problem_of_validation(caught.value).detail


@pytest.mark.parametrize("text", ["nul \x00 inside", "bell\x07", "trailing \n", "👩🏽‍🚀", "\ufeffmark"])
def test_content_is_kept_verbatim(text: str) -> None:
    """Control characters and exotic text are content like any other."""
    assert retain(content=text).items[0].content == text


def test_contents_have_three_forms() -> None:
    """A text, blocks and messages each keep their own form."""
    assert retain(content="x").items[0].content == "x"
    blocks = retain(content=[{"type": "text", "text": "a"}, {"type": "text", "text": ""}]).items[0].content
    assert blocks == [wire.TextBlock(type="text", text="a"), wire.TextBlock(type="text", text="")]
    messages = retain(content=[{"name": "Ada", "content": "hi", "timestamp": "2024-01-01"}]).items[0].content
    assert messages == [wire.Message(name="Ada", content="hi", timestamp=datetime(2024, 1, 1, tzinfo=UTC))]


def test_number_of_items_is_bounded() -> None:
    """No items and too many are both refused."""
    for count in (0, wire.MAX_ITEMS + 1):
        with pytest.raises(ValidationError):
            wire.RetainRequest.model_validate({"items": [{"content": "x"}] * count})


def test_total_size_of_messages_is_bounded() -> None:
    """Messages that are small one by one but too large together are 413."""
    message = {"role": "user", "content": "x" * 1_000_000}
    with pytest.raises(ValidationError) as caught:
        retain(content=[message] * 5)
    assert wire.problem_of_validation(caught.value).status == 413


def test_explicit_nulls_mean_defaults_and_unknown_fields_are_ignored() -> None:
    """Official clients send every nullable field as null, and newer ones send more."""
    item = dict.fromkeys(wire.RetainItem.model_fields) | {"content": "hello", "event_date": "2024-01-01"}
    request = {"items": [item], "async": None, "document_tags": None, "operation_id": None, "new_field": 1}
    parsed = wire.RetainRequest.model_validate(request)
    assert parsed == wire.RetainRequest(items=[wire.RetainItem(content="hello")])
    assert (parsed.items[0].update_mode, parsed.items[0].resolve_entities, parsed.async_) == ("replace", True, False)


@pytest.mark.parametrize(
    ("given_text", "instant"),
    [
        ("2024-01-15T10:30:00Z", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
        ("2024-01-15T10:30:00", datetime(2024, 1, 15, 10, 30, tzinfo=UTC)),
        ("2024-01-15T10:30:00.5+02:00", datetime(2024, 1, 15, 8, 30, 0, 500_000, tzinfo=UTC)),
        ("2024-01-15", datetime(2024, 1, 15, tzinfo=UTC)),
    ],
)
def test_timestamps_become_aware_utc(given_text: str, instant: datetime) -> None:
    """A time without an offset is read as UTC, a date as its midnight."""
    assert retain(timestamp=given_text).items[0].timestamp == instant
    assert wire.parse_instant(given_text) == instant


def test_unset_timestamp_stays_apart_from_none() -> None:
    """`unset` means no time at all, null means now."""
    assert retain(timestamp="unset").items[0].timestamp == "unset"
    assert retain(timestamp=None).items[0].timestamp is None


@pytest.mark.parametrize("text", ["nonsense", "", "2024-13-01", "9999-12-31T23:59:59-10:00", "\ud800"])
def test_parse_instant_raises_value_error_only(text: str) -> None:
    """The server turns it into a 400 for query_timestamp."""
    with pytest.raises(ValueError, match="must"):
        wire.parse_instant(text)


@pytest.mark.parametrize("query", ["", " ", "?!", "\x00", "\ud800 x", "x" * (wire.MAX_QUERY_CHARS + 1)])
def test_query_without_a_word_is_refused(query: str) -> None:
    """Recall and reflect need at least one word character."""
    for model in (wire.RecallRequest, wire.ReflectRequest):
        with pytest.raises(ValidationError):
            model.model_validate({"query": query})


def test_entities_are_included_unless_switched_off() -> None:
    """Absence means on with 500 tokens, `include.entities: null` means off."""
    on = wire.EntityIncludeOptions(max_tokens=500)
    assert recall().include.entities == on
    assert recall(include=None).include.entities == on
    assert recall(include={}).include.entities == on
    assert recall(include={"chunks": {}}).include.chunks == wire.ChunkIncludeOptions(max_tokens=8192)
    off = recall(include={"entities": None, "chunks": None})
    assert off.include.entities is None
    assert off.to_wire()["include"] == {"entities": None, "chunks": None}


def test_tag_groups_form_a_tree() -> None:
    """Leaves, and, or, not nest; each node has exactly one of the four keys."""
    tree = {"and": [{"tags": ["a"]}, {"or": [{"tags": ["b"], "match": "exact"}, {"not": {"tags": ["c"]}}]}]}
    assert recall(tag_groups=[tree]).to_wire()["tag_groups"] == [tree]
    for bad in ({}, {"tags": ["a"], "not": {"tags": ["b"]}}, {"and": []}, {"xor": []}, "a", {"not": None}):
        with pytest.raises(ValidationError):
            recall(tag_groups=[bad])


def test_nesting_deeper_than_any_stack_is_refused() -> None:
    """Bodies made to overflow a recursion are a plain refusal, wherever they nest."""
    deep = nested_not(50_000)
    for field in ("tag_groups", "include", "min_scores", "types", "tags", "query"):
        with pytest.raises(ValidationError):
            recall(**{field: [deep]})
    for field in ("response_schema", "include", "context"):
        with pytest.raises(ValidationError):
            wire.ReflectRequest.model_validate({"query": "x", field: {"facts": deep} if field == "include" else deep})


def test_tags_and_tag_groups_exclude_each_other() -> None:
    """Two ways to say it at once are a mistake; an empty one says nothing."""
    with pytest.raises(ValidationError, match="exclude each other"):
        recall(tags=["a"], tag_groups=[{"tags": ["b"]}])
    assert recall(tags=[], tag_groups=[{"tags": ["b"]}]).tags == []


def test_tag_groups_are_bounded() -> None:
    """Depth and number of leaves have limits."""
    assert recall(tag_groups=[nested_not(20)]).tag_groups
    with pytest.raises(ValidationError, match="deeper"):
        recall(tag_groups=[nested_not(fields.MAX_JSON_DEPTH)])
    branch = {"or": [{"tags": ["x"]}] * 60}
    with pytest.raises(ValidationError, match="leaves"):
        recall(tag_groups=[branch, branch])


@pytest.mark.parametrize(
    "bad",
    [
        {"types": ["opinion"]},
        {"budget": "huge"},
        {"max_tokens": -1},
        {"limit": 0},
        {"min_seq": -1},
        {"min_scores": {"semantic": float("nan")}},
        {"temporal_window": {"start": "2024-02-01", "end": "2024-01-01"}},
        {"temporal_window": {"start": "2024-02-01"}},
        {"tags_match": "most"},
    ],
)
def test_bad_recall_fields_are_refused(bad: dict[str, Any]) -> None:
    """Values outside what a field allows are 422."""
    with pytest.raises(ValidationError):
        recall(**bad)


@pytest.mark.parametrize("bad", [0, 6, 2.5, 3.0, "3", True])
def test_traits_are_strict_integers(bad: object) -> None:
    """Only the integers 1 to 5 are traits."""
    with pytest.raises(ValidationError):
        wire.BankUpdateRequest.model_validate({"disposition_empathy": bad})
    with pytest.raises(ValidationError):
        wire.BankUpdateRequest.model_validate({"disposition": {"skepticism": bad, "literalism": 3, "empathy": 3}})


def test_precedence_of_missions_and_traits() -> None:
    """reflect_mission over mission over background; flat traits over the legacy object; null changes nothing."""
    both = wire.BankUpdateRequest(
        background="b", mission="m", disposition=wire.Disposition(skepticism=1, literalism=2, empathy=4),
        disposition_empathy=5,
    )  # fmt: skip
    assert both.mission_text() == "m"
    assert both.traits() == {"skepticism": 1, "literalism": 2, "empathy": 5}
    assert wire.BankUpdateRequest(reflect_mission="", mission="m").mission_text() == ""
    nothing = wire.BankUpdateRequest.model_validate({"mission": None, "disposition": None})
    assert (nothing.mission_text(), nothing.traits(), nothing.model_fields_set) == (None, {}, set())


def test_problem_counts_what_it_does_not_list() -> None:
    """A request wrong in a thousand places gets a short answer."""
    with pytest.raises(ValidationError) as caught:
        wire.RetainRequest.model_validate({"items": [{}] * 1000})
    problem = wire.problem_of_validation(caught.value)
    assert len(problem.errors) == 20
    assert problem.detail.endswith("; and 980 more")
    assert problem.error == problem.detail


def test_problem_never_quotes_values() -> None:
    """What was sent may be private; only its place is named."""
    with pytest.raises(ValidationError) as caught:
        retain(timestamp="my secret", update_mode="secret too")
    assert "secret" not in wire.problem_of_validation(caught.value).model_dump_json()
    assert "secret" not in str(caught.value)


def test_check_id_accepts_what_urls_can_carry() -> None:
    """Slashes, spaces and other scripts are fine in ids."""
    for name in ("user/42", "a b", "Zoë", "日本", "...", "%2F", "?#"):
        assert wire.check_id(name) == name
