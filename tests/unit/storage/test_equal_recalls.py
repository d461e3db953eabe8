"""Whole recalls with default settings: equal state and query give equal results, on any engine."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.placing import STRIDE
from memory.query import understand
from memory.recall import RecallQuery, answer, plan_candidates
from memory.recipes import DEFAULT
from memory.records import Source, UnitKind, UnitType
from memory.stack import Stack
from storage.reference_store import ReferenceStore
from storage.run import run
from tests.support.builders import DIM, dense, embedding, fresh_scope, new_unit, put_live, tokens
from tests.support.engines import ENGINES
from tests.support.strategies import LOREM

UNITS = 60
FACTS = 12
TIE = 4e-3
"""Engines keep vectors and scores in their own precision, and a z-score widens what differs."""
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SPEAKERS = ("Ann", "Bob")
QUERY = st.lists(
    st.sampled_from([*LOREM, "Ann", "when", "2026-01-03", "AX-9981-B", "which", "my"]), min_size=1, max_size=7
)
FUZZ = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


def units_of(scope, seed: int):
    """Turns of several documents, some without token vectors, and facts of some of them."""
    chance = random.Random(seed)
    places: dict[str, int] = {}
    turns = []
    for number in range(UNITS):
        document = f"d{chance.randint(0, 6)}"
        places[document] = places.get(document, 0) + 1
        text = " ".join(chance.choices(LOREM, k=chance.randint(1, 10)))
        text = f"{text} AX-99{80 + number % 9}-B" if number % 11 == 0 else text
        one = new_unit(
            scope,
            f"{text}?" if chance.random() < 0.2 else text,
            occurrence=number,
            document_id=document,
            position=places[document] * STRIDE,
            type=chance.choice(list(UnitType)[:2]),
            speaker=chance.choice([None, *SPEAKERS]),
            mentioned_at=FIRST + timedelta(hours=5 * number),
        )
        vectors = one.vectors
        assert vectors is not None
        turns.append(replace(one, vectors=replace(vectors, tokens=b"")) if chance.random() < 0.1 else one)
    yield from turns
    for number in range(FACTS):
        source = chance.choice(turns).unit
        text = f"{source.text} {number}"
        yield new_unit(
            scope,
            text,
            occurrence=number,
            kind=UnitKind.FACT,
            document_id=source.document_id,
            sources=(Source(source.id, 1, source.content_hash),),
        )


@pytest.fixture(scope="module")
def banks():
    scopes = [fresh_scope(), fresh_scope()]
    return [(scope, list(units_of(scope, seed))) for seed, scope in enumerate(scopes)]


def filled(engine, banks):
    for scope, news in banks:
        put_live(engine, scope, *news)
    return engine


@pytest.fixture(scope="module")
def reference_of(banks):
    return filled(ReferenceStore(DIM), banks)


@pytest.fixture(params=[name for name in (*ENGINES, "wired") if name != "reference"])
def other(request, banks):
    return filled(request.getfixturevalue(request.param), banks)


def recall(engine, banks, words, **options):
    query = RecallQuery(" ".join(words), query_timestamp=FIRST + timedelta(days=20), max_tokens=10_000, **options)
    understood = understand(query.query, SPEAKERS, query.query_timestamp)
    plan = plan_candidates(query, understood, embedding(understood.bare), DEFAULT)
    found = [(scope.bank, run(engine, scope, plan)) for scope, _ in banks]
    if len(found) == 1:
        return answer(query, understood, found[0][1], DEFAULT).results
    return Stack.of(found).answer(query, understood, DEFAULT).results


@FUZZ
@given(words=QUERY)
@pytest.mark.parametrize("several", [False, True], ids=["one bank", "two banks"])
def test_engines_rank_alike_up_to_ties(reference_of, other, banks, several, words):
    asked = banks if several else banks[:1]
    expected, found = recall(reference_of, asked, words), recall(other, asked, words)
    finals = {result.id: result.final for result in expected}
    assert {result.id for result in found} == set(finals)
    for result in found:
        assert result.final == pytest.approx(finals[result.id], abs=TIE)
    for before, after in pairwise(found):
        assert finals[before.id] >= finals[after.id] - 2 * TIE
    facts = {result.id: {fact.id for fact in result.facts} for result in expected}
    assert {result.id: {fact.id for fact in result.facts} for result in found} == facts


@pytest.fixture(params=["reference", "edge"])
def ours(request, banks):
    """Engines whose arithmetic is ours or the embedded one's; the client's own differs in the tenth digit by itself."""
    return filled(request.getfixturevalue(request.param), banks)


@FUZZ
@given(words=QUERY)
def test_the_same_query_gets_the_same_answer_twice(ours, banks, words):
    first, second = (
        [(one.id, one.final, one.semantic, one.keyword, [fact.id for fact in one.facts]) for one in found]
        for found in (recall(ours, banks, words), recall(ours, banks, words))
    )
    assert first == second


def test_the_bank_has_what_defaults_look_at(banks):
    """A vector that tells nothing, or a bank without tokens, would let all of this pass."""
    _, news = banks[0]
    assert sum(not new.vectors.tokens for new in news) in range(3, 40)
    assert tokens("river")
    assert abs(float(dense("river") @ dense("stone"))) < 0.9
