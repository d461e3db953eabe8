import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.windows import WindowTurn, cut_windows

LIMIT = 100


def changed(before, after):
    """The windows whose turns no window held before."""
    known = {window.hash for window in cut_windows(before, LIMIT)}
    return [window for window in cut_windows(after, LIMIT) if window.hash not in known]


TURNS = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 150)), max_size=60).map(
    lambda pairs: [WindowTurn(f"u{order}-{seed}", f"h{seed}", chars) for order, (seed, chars) in enumerate(pairs)]
)


@given(TURNS)
def test_windows_hold_every_turn_once_and_in_order(turns):
    windows = cut_windows(turns, LIMIT)
    assert [index for window in windows for index in range(window.first, window.last)] == list(range(len(turns)))
    assert all(window.chars == sum(turn.chars for turn in turns[window.first : window.last]) for window in windows)
    assert all(window.chars <= LIMIT or window.last - window.first == 1 for window in windows)


@given(TURNS, TURNS)
def test_a_growing_document_changes_only_its_last_window(turns, more):
    before = cut_windows(turns, LIMIT)
    after = cut_windows([*turns, *more], LIMIT)
    assert after[: max(len(before) - 1, 0)] == before[:-1]


@given(TURNS.filter(bool), st.data())
def test_a_changed_turn_changes_the_hash_of_its_window(turns, data):
    index = data.draw(st.integers(0, len(turns) - 1))
    edited = [*turns]
    edited[index] = WindowTurn(turns[index].unit_id, "edited", turns[index].chars)
    assert any(window.first <= index < window.last for window in changed(turns, edited))


def test_cuts_behind_a_change_fall_where_they_fell():
    turns = [WindowTurn(f"u{order}", f"h{order}", 10) for order in range(400)]
    edited = [WindowTurn("u3", "edited", 35), *turns[:3], *turns[4:]]
    assert 0 < len(changed(turns, edited)) <= 4


def test_a_window_has_room():
    with pytest.raises(ValueError, match="positive"):
        cut_windows([], 0)
