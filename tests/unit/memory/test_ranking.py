"""Each signal lifts what it is about, and is silent where a bank does not show what it needs."""

import random
from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory import signals
from memory.encoding import instant_to_text
from memory.fusion import fuse
from memory.placing import STRIDE
from memory.query import understand
from memory.ranking import rank
from memory.recipes import CONTEXTUAL, HYBRID, Recipe, Signals
from memory.store_calls import Hits


def unit(text="said", *, doc="d", at=1, tokens=10, speaker=None, agent=False, said=None):
    made = {
        "text": text,
        "document_id": doc,
        "position": at * STRIDE,
        "text_tokens": tokens,
        "type": "experience" if agent else "world",
    }
    if speaker:
        made["speaker"] = speaker
    if said:
        made["mentioned_at"] = instant_to_text(datetime.fromisoformat(said).replace(tzinfo=UTC))
    return made


def hits(*units, semantic=None) -> Hits:
    count = len(units)
    scores = np.array(semantic if semantic is not None else [0.5] * count, dtype=np.float64)
    return Hits(tuple(f"{n:03d}" for n in range(count)), units, scores, np.zeros(count))


def only(**weights) -> Recipe:
    return replace(HYBRID, signals=Signals(**weights))


def added(found: Hits, query: str, recipe: Recipe, speakers=(), asked_at=None) -> list[float]:
    """What the recipe's signals add to the fused scores."""
    understood = understand(query, speakers, asked_at)
    gained = rank(found, understood, recipe) - rank(found, understood, HYBRID)
    return np.round(gained, 6).tolist()


def z(*scores: float) -> list[float]:
    return (0.6 * (np.array(scores) - np.mean(scores)) / np.std(scores)).tolist()


def test_a_unit_gets_a_share_of_the_one_before_and_the_one_after():
    found = hits(unit(at=1), unit(at=2), unit(at=3), unit(at=1, doc="other"), semantic=[1, 0, 0, 0])
    first, rest = z(1, 0, 0, 0)[:2]
    assert added(found, "q", only(previous=1)) == pytest.approx([0, first, rest, 0], abs=1e-5)
    assert added(found, "q", only(following=1)) == pytest.approx([rest, rest, 0, 0], abs=1e-5)


def test_an_answer_gets_more_of_its_question():
    found = hits(unit("How?", at=1), unit("So.", at=2), unit("Well.", at=3), semantic=[1, 0, 0])
    assert added(found, "q", only(answered=1)) == pytest.approx([0, z(1, 0, 0)[0], 0], abs=1e-5)


def test_a_long_unit_gets_less():
    found = hits(unit(at=1), unit(at=2, tokens=4 * signals.FULL_SHARE_TOKENS), semantic=[1, 0])
    assert added(found, "q", only(previous=1))[1] == pytest.approx(z(1, 0)[0] / 4, abs=1e-5)


def test_units_with_room_for_another_between_them_are_no_neighbours():
    near = hits(unit(at=1), unit(at=2.5), semantic=[1, 0])
    far = hits(unit(at=1), unit(at=3), semantic=[1, 0])
    assert added(near, "q", only(previous=1))[1] > 0
    assert added(far, "q", only(previous=1)) == [0, 0]


def test_a_session_is_as_good_as_its_best_units():
    found = hits(*(unit(at=2 * n) for n in range(4)), unit(doc="other"), semantic=[3, 2, 1, 0, 0])
    scores = z(3, 2, 1, 0, 0)
    expected = [np.mean(scores[:3])] * 4 + [scores[4]]
    assert added(found, "q", only(session=1)) == pytest.approx(expected, abs=1e-5)


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(-3, 3)), min_size=1, max_size=25), st.integers(1, 4))
def test_the_mean_of_the_best_is_what_sorting_gives(rows, count):
    document = np.unique([doc for doc, _ in rows], return_inverse=True)[1]
    scores = np.array([score for _, score in rows])
    found = signals.mean_of_best(scores, document, count)
    for doc, mean in zip(document, found, strict=True):
        assert mean == pytest.approx(np.mean(sorted(scores[document == doc])[-count:]))


def test_who_is_named_and_speaks_is_lifted():
    found = hits(unit(speaker="Ann"), unit(speaker="Bob", at=9), unit(at=19))
    people = ("Ann", "Bob")
    assert added(found, "What does Ann like?", only(speaker=2), people) == [2, 0, 0]
    assert added(found, "Did Ann meet Bob?", only(speaker=2), people) == [1, 1, 0]
    assert added(found, "What is it?", only(speaker=2), people) == [0, 0, 0]


def test_the_askers_words_or_the_agents_where_there_is_an_agent():
    chat = hits(unit(speaker="user"), unit(speaker="assistant", agent=True, at=9))
    assert added(chat, "What did I buy?", only(person=1)) == [1, 0]
    assert added(chat, "What did you recommend to me?", only(person=1)) == [0, 1]
    assert added(chat, "What is it?", only(person=1)) == [0, 0]
    among_people = hits(unit(speaker="Ann"), unit(speaker="Bob", at=9))
    assert added(among_people, "What did I buy?", only(person=1)) == [0, 0]
    assert added(hits(unit(), unit(at=9)), "What did I write about you?", only(person=1)) == [0, 0]


def test_what_was_said_at_a_named_time_is_lifted():
    found = hits(unit(said="2023-06-03"), unit(said="2023-07-03", at=9), unit(said="2023-01-01", at=19), unit(at=29))
    assert added(found, "in June 2023?", only(date=2)) == [2, 1, 0, 0]
    assert added(found, "a month ago?", only(date=2), (), datetime(2023, 7, 3, tzinfo=UTC)) == [2, 1, 0, 0]
    assert added(found, "yesterday?", only(date=2), (), datetime(2023, 7, 4, tzinfo=UTC)) == [0, 2, 0, 0]
    assert added(found, "q", only(date=2)) == [0, 0, 0, 0]


def test_when_something_happened_comes_before_when_it_was_said():
    happened = unit(said="2023-01-01") | {"occurred_start": "2022-06-03T00:00:00.000000Z"}
    assert added(hits(happened, unit(at=9)), "in June 2022", only(date=1)) == [1, 0]


def test_a_question_for_a_time_lifts_what_tells_one():
    found = hits(unit("We met yesterday"), unit("We met", at=9), unit("It was in 2021.", at=19), unit("20215", at=29))
    assert added(found, "When did we meet?", only(when=1)) == [1, 0, 1, 0]
    assert added(found, "Why did we meet?", only(when=1)) == [0, 0, 0, 0]


def test_who_only_asks_among_people_is_lowered():
    among_people = hits(unit("Really?", speaker="Ann"), unit("Yes.", speaker="Bob", at=9), unit("Why?”", speaker="Ann"))
    assert added(among_people, "q", only(question=1)) == [-1, 0, -1]
    assert added(hits(unit("What is a tea?"), unit("A drink.", at=9)), "q", only(question=1)) == [0, 0]
    chat = hits(unit("I bought a boat, what now?", speaker="user"), unit("Sail.", agent=True, at=9))
    assert added(chat, "q", only(question=1)) == [0, 0]


def test_notes_without_speakers_times_or_neighbours_are_ranked_by_fusion():
    chooser = random.Random(3)
    notes = [unit(f"note {n}?", doc=f"d{n}") for n in range(40)]
    found = hits(*notes, semantic=[chooser.random() for _ in notes])
    for query in ("What did I write in June?", "When did Ann call?", "What did you say?"):
        understood = understand(query, ("Ann",), datetime(2024, 1, 1, tzinfo=UTC))
        ranked, fused = (rank(found, understood, recipe) for recipe in (CONTEXTUAL, HYBRID))
        assert np.argsort(-ranked).tolist() == np.argsort(-fused).tolist()


@pytest.mark.parametrize("query", ["What did Ann say in June?", "When did I go?"])
def test_the_order_in_which_candidates_come_changes_no_score(query):
    chooser = random.Random(5)
    units = [
        unit(
            chooser.choice(["Yesterday.", "Why?", "So it is."]),
            doc=f"d{n // 6}",
            at=n % 6,
            speaker=chooser.choice([None, "Ann", "Bob"]),
            said=f"2023-0{chooser.randint(5, 8)}-11",
        )
        for n in range(30)
    ]
    semantic = np.array([chooser.random() for _ in units])
    order = list(range(30))
    chooser.shuffle(order)
    understood = understand(query, ("Ann", "Bob"))
    straight = rank(hits(*units, semantic=semantic), understood, CONTEXTUAL)
    shuffled = rank(hits(*(units[n] for n in order), semantic=semantic[order]), understood, CONTEXTUAL)
    assert shuffled == pytest.approx(straight[order])


def test_a_recipe_without_signals_is_plain_fusion():
    found = hits(unit(), unit(at=2), semantic=[1, 0])
    expected = fuse([(0.6, found.semantic), (0.4, found.keyword)])
    assert rank(found, understand("q", ()), HYBRID).tolist() == expected.tolist()
    assert rank(hits(), understand("q", ()), CONTEXTUAL).tolist() == []
    assert all(getattr(CONTEXTUAL.signals, one.name) > 0 for one in fields(Signals))


def test_a_code_that_the_query_names_lifts_what_holds_it_less_where_many_do():
    found = hits(unit("order AX-9981-B came"), unit("order AX-9982-B came"), unit("nothing"), unit("nothing"))
    assert added(found, "Where is AX-9981-B?", only(code=2)) == [1.5, 0, 0, 0]
    assert added(found, "Where are AX-9981-B and AX-9982-B?", only(code=2)) == [0.75, 0.75, 0, 0]
    assert added(found, "Where is it?", only(code=2)) == [0] * 4
    everywhere = hits(*[unit("order AX-9981-B")] * 3)
    assert added(everywhere, "Where is AX-9981-B?", only(code=2)) == [0] * 3
