import itertools

from hypothesis import given
from hypothesis import strategies as st

from memory.placing import STRIDE, place

POSITIONS = st.lists(st.none() | st.integers(-(1 << 40), 1 << 40), max_size=30)


def increasing(positions: list[int]) -> bool:
    return all(low < high for low, high in itertools.pairwise(positions))


@given(POSITIONS)
def test_positions_are_strictly_increasing(current):
    placed, moved = place(current)
    assert len(placed) == len(current)
    assert increasing(placed)
    assert moved == [i for i, old in enumerate(current) if old is not None and old != placed[i]]


@given(POSITIONS.filter(lambda current: not increasing([at for at in current if at is not None])))
def test_disorder_is_put_in_order_by_moving_something(current):
    assert place(current)[1]


@given(st.sets(st.integers(-1000, 1000), max_size=20), st.data())
def test_kept_chunks_stay_where_they_are_while_their_order_and_the_gaps_allow(numbers, data):
    kept = [number * STRIDE for number in sorted(numbers)]
    current: list[int | None] = []
    for at in kept:
        current += [None] * data.draw(st.integers(0, 5)) + [at]
    current += [None] * data.draw(st.integers(0, 5))
    placed, moved = place(current)
    assert not moved
    assert [at for at in placed if at in kept] == kept


@given(st.integers(2, 30), st.data())
def test_a_chunk_that_changes_places_moves_alone(count: int, data):
    stored = [STRIDE * (n + 1) for n in range(count)]
    at = data.draw(st.integers(0, count - 1))
    order = stored[:at] + stored[at + 1 :]
    order.insert(data.draw(st.integers(0, count - 1)), stored[at])
    placed, moved = place(order)
    assert increasing(placed)
    assert len(moved) <= 1


def test_ten_thousand_new_chunks_at_one_place_move_nothing():
    current = [STRIDE, *[None] * 10_000, 2 * STRIDE]
    placed, moved = place(current)
    assert increasing(placed)
    assert not moved


def test_more_new_chunks_than_a_gap_holds_spread_everything_anew():
    placed, moved = place([STRIDE, *[None] * STRIDE, STRIDE + 1])
    assert placed[0] == STRIDE
    assert increasing(placed[:3])
    assert moved == [len(placed) - 1]


def test_insertions_one_by_one_at_one_place_rarely_move_anything():
    """Each halves the gap; when it is used up everything is spread anew: one in twenty."""
    current = [STRIDE, 2 * STRIDE]
    spread = 0
    for _ in range(400):
        current, moved = place([*current[:1], None, *current[1:]])
        assert increasing(current)
        spread += bool(moved)
    assert spread <= 400 / 18


def test_prepending_and_appending_never_move_anything():
    current: list[int] = []
    for _ in range(200):
        current, moved = place([None, *current, None])
        assert increasing(current)
        assert not moved


def test_nothing_and_one_chunk_have_their_places():
    assert place([]) == ([], [])
    assert place([None]) == ([STRIDE], [])
    assert place([7]) == ([7], [])
