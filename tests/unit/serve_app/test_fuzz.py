"""Whatever is sent: an answer that is no server error, and a problem body where it is an error at all."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from serve_app.request_context import RECALL
from tests.support.http_calls import Http

BANK = "/v1/default/banks/alice"
Strategy = st.SearchStrategy[Any]

good_texts = st.sampled_from(["Alice drinks tea", "2024-01-15", "user", "a/b", "ünïcødé 日本"])
any_texts = st.one_of(good_texts, st.text(max_size=20), st.sampled_from(["", " ", "unset", "\ud800", "a\x00"]))
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), any_texts)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(any_texts, inner, max_size=4)),
    max_leaves=12,
)


class Requests:
    """Strategies of request bodies: all right ones (`wild=False`), or ones in which any field may be anything."""

    def __init__(self, *, wild: bool) -> None:
        self._wild = wild
        self.texts = any_texts if wild else good_texts
        self.times = self.texts if wild else st.sampled_from(["2024-01-15", "2024-01-15T10:30:00+02:00"])
        self.tokens = st.integers(-2 if wild else 0, 5000)

    def objects(self, required: dict[str, Strategy] | None = None, **optional: Strategy) -> Strategy:
        def either(kind: Strategy) -> Strategy:
            return st.one_of(*[kind] * 9, values) if self._wild else kind

        always = {name: either(kind) for name, kind in (required or {}).items()}
        sometimes = {name: either(kind) for name, kind in optional.items()}
        return st.fixed_dictionaries(always, optional={**sometimes, "unknown": values if self._wild else st.integers()})

    def texts_by_text(self) -> Strategy:
        return st.dictionaries(self.texts, self.texts, max_size=3)

    def retain(self) -> Strategy:
        messages = self.objects(
            {"content": self.texts},
            role=self.texts,
            name=self.texts,
            timestamp=self.times,
            metadata=self.texts_by_text(),
        )
        blocks = self.objects({"type": st.just("text"), "text": self.texts})
        items = self.objects(
            {
                "content": st.one_of(
                    self.texts,
                    st.lists(messages, min_size=1, max_size=3),
                    st.lists(blocks, min_size=1, max_size=3),
                )
            },
            timestamp=st.one_of(self.times, st.just("unset")),
            context=self.texts,
            metadata=self.texts_by_text(),
            document_id=self.texts,
            entities=st.lists(self.objects({"text": self.texts}, type=self.texts), max_size=2),
            tags=st.lists(self.texts, max_size=3),
            update_mode=st.sampled_from(["replace", "append"]),
        )
        return self.objects(
            {"items": st.lists(items, min_size=1, max_size=3)},
            document_tags=st.lists(self.texts, max_size=2),
            operation_id=self.texts,
            wait_for=st.sampled_from(["accepted", "extracted"]),
        )

    def filters(self) -> dict[str, Strategy]:
        matches = st.sampled_from(["any", "all", "any_strict", "all_strict", "exact"])
        groups = st.recursive(
            self.objects({"tags": st.lists(self.texts, max_size=2)}, match=matches),
            lambda inner: st.one_of(
                st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=2)),
                st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=2)),
                st.builds(lambda part: {"not": part}, inner),
            ),
            max_leaves=4,
        )
        return {
            "tag_groups": st.lists(groups, max_size=2),
            "tags_match": matches,
            "max_tokens": self.tokens,
            "budget": st.sampled_from(["low", "mid", "high"]),
        }

    def recall(self) -> Strategy:
        budget = self.objects(max_tokens=self.tokens)
        floors = st.floats(allow_nan=self._wild, allow_infinity=self._wild)
        return self.objects(
            {"query": self.texts},
            types=st.lists(st.sampled_from(["world", "experience", "observation"]), max_size=2),
            query_timestamp=self.times,
            temporal_window=self.objects({"start": st.just("2024-01-01"), "end": self.times}),
            include=self.objects(entities=budget, chunks=budget, source_facts=budget),
            min_scores=self.objects(semantic=floors, keyword=floors, final=floors),
            limit=st.integers(-1 if self._wild else 1, 20),
            trace=st.booleans(),
            **self.filters(),
        )

    def reflect(self) -> Strategy:
        return self.objects(
            {"query": self.texts},
            context=self.texts,
            include=self.objects(facts=self.objects(), tool_calls=self.objects(output=st.booleans())),
            response_schema=schemas,
            fact_types=st.lists(st.sampled_from(["world", "experience"]), max_size=2),
            **self.filters(),
        )

    def profile(self) -> Strategy:
        trait = st.integers(0 if self._wild else 1, 5)
        return self.objects(
            name=self.texts,
            mission=self.texts,
            disposition_empathy=trait,
            enable_reranking=st.booleans(),
            scope=self.scopes(),
        )

    def scopes(self) -> Strategy:
        return self.objects({"host": self.texts}, agent=self.texts, user=self.texts)

    def stack_recall(self) -> Strategy:
        return self.objects(
            {"query": self.texts},
            banks=st.lists(self.texts, max_size=18),
            scope=self.scopes(),
            min_seqs=st.dictionaries(self.texts, st.integers(-1, 9), max_size=2),
            as_of=self.times,
            limit=st.integers(1, 20),
        )


kinds = st.sampled_from(["object", "string", "number", "integer", "boolean", "null", "array", "odd"])
names = st.sampled_from(["a", "b"])
plain_schemas = st.fixed_dictionaries(
    {},
    optional={
        "type": kinds,
        "enum": st.lists(leaves, max_size=3),
        "minimum": leaves,
        "maxLength": leaves,
        "multipleOf": leaves,
        "$ref": st.sampled_from(["#", "#/x", "#/properties/a"]),
    },
)


def composed_schemas(inner: Strategy) -> Strategy:
    fields = {
        "type": st.sampled_from(["object", "array"]),
        "properties": st.dictionaries(names, inner),
        "items": inner,
        "anyOf": st.lists(inner, max_size=2),
        "allOf": st.lists(inner, max_size=2),
        "oneOf": st.lists(inner, max_size=2),
        "additionalProperties": st.one_of(inner, values),
        "required": st.lists(names, max_size=2),
        "minItems": leaves,
    }
    return st.fixed_dictionaries({}, optional=fields)


schemas = st.recursive(plain_schemas, composed_schemas, max_leaves=6)
RIGHT, WILD = Requests(wild=False), Requests(wild=True)
FUZZ = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture
def target(retained: Http) -> Http:
    return retained


def send(http: Http, method: str, path: str, body: Any) -> int:
    """Send JSON as lax as Python writes it: NaN and lone surrogates included."""
    answer = http.call(method, f"{BANK}{path}", content=json.dumps(body).encode())
    event(f"{method} {path}: {answer.status_code}")
    assert answer.status_code < 500, (body, answer.text)
    return answer.status_code


@FUZZ
@given(body=RIGHT.retain())
def test_right_retains(target: Http, body: Any) -> None:
    assert send(target, "POST", "/memories", body) in {200, 409, 422}


@FUZZ
@given(body=st.one_of(WILD.retain(), values))
def test_wild_retains(target: Http, body: Any) -> None:
    send(target, "POST", "/memories", body)


@FUZZ
@given(body=RIGHT.recall())
def test_right_recalls(target: Http, body: Any) -> None:
    assert send(target, "POST", "/memories/recall", body) == 200


@FUZZ
@given(body=st.one_of(WILD.recall(), values))
def test_wild_recalls(target: Http, body: Any) -> None:
    send(target, "POST", "/memories/recall", body)


@FUZZ
@given(body=st.one_of(RIGHT.stack_recall(), WILD.stack_recall(), values))
def test_recalls_over_several_banks(target: Http, body: Any) -> None:
    answer = target.call("POST", RECALL, content=json.dumps(body).encode())
    assert answer.status_code in {200, 413, 422}, (body, answer.text)


@FUZZ
@given(body=RIGHT.reflect())
def test_right_reflects(target: Http, body: Any) -> None:
    assert send(target, "POST", "/reflect", body) in {200, 422}


@FUZZ
@given(body=st.one_of(WILD.reflect(), values))
def test_wild_reflects(target: Http, body: Any) -> None:
    send(target, "POST", "/reflect", body)


@FUZZ
@given(body=st.one_of(RIGHT.profile(), WILD.profile(), values))
def test_profiles(target: Http, body: Any) -> None:
    send(target, "PUT", "", body)


@FUZZ
@given(raw=st.binary(max_size=80))
def test_bytes(target: Http, raw: bytes) -> None:
    assert target.call("POST", f"{BANK}/memories", content=raw).status_code in {200, 422}
