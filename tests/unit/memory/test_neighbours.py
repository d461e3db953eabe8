from hypothesis import given
from hypothesis import strategies as st

from memory.filters import TRUE, holds
from memory.neighbours import Near, around, most_in
from memory.placing import STRIDE

PLACES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-3, 12).map(STRIDE.__mul__)), min_size=1, max_size=8)


def lets_through(where, document: str, position: int) -> bool:
    return holds(where, "id", {"document_id": document, "position": position})


@given(PLACES, st.integers(1, 3))
def test_what_stands_beside_a_place_is_let_through_and_nothing_far_away_is(places, reach):
    spans = around(places, reach)
    where, limit = Near(spans, TRUE, 1).matching, most_in(spans)
    wanted = {(d, p + step * STRIDE) for d, p in places for step in range(-reach, reach + 1)}
    assert all(lets_through(where, *place) for place in wanted)
    assert limit >= len(wanted)
    for document in "abc":
        for position in range(-8 * STRIDE, 20 * STRIDE, STRIDE // 2):
            nearest = min((abs(position - p) for d, p in places if d == document), default=None)
            if nearest is None or nearest > (reach + 1) * STRIDE:
                assert not lets_through(where, document, position)


def test_without_a_place_or_a_reach_there_is_nothing_to_ask_for():
    assert around([], 2) == {}
    assert around([("a", 1)], 0) == {}
