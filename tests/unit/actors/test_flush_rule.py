"""When the engine writes its own files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.flush_rule import FULL, LATEST, MOST, QUIET_S, READERS_GONE_S, SYNCS, FlushRule

RULE = FlushRule(30.0, 1000)
BUSY, QUIET = QUIET_S / 2, QUIET_S


@pytest.mark.parametrize(
    ("dirty_bytes", "age_s", "quiet_s", "due"),
    [
        (0, 1e9, 1e9, False),
        (1, 29.9, 1e9, False),
        (1, 30.0, QUIET, True),
        (1, 30.0, BUSY, False),
        (999, 29.9, QUIET, False),
        (1000, 0.0, QUIET, True),
        (1000, 0.0, BUSY, False),
        (1000 * MOST, 0.0, 0.0, True),
        (1, 30.0 * LATEST, 0.0, True),
    ],
)
def test_a_flush_waits_for_a_quiet_moment_but_not_for_ever(dirty_bytes, age_s, quiet_s, due):
    assert RULE.is_due(dirty_bytes, age_s, quiet_s, 0.001) is due


def test_a_slow_disk_makes_it_wait_for_a_longer_one():
    disk_s = QUIET_S / SYNCS * 10
    assert RULE.is_due(1000, 0.0, 10 * QUIET_S, disk_s)
    assert not RULE.is_due(1000, 0.0, 9 * QUIET_S, disk_s)
    assert RULE.is_due(1000 * MOST, 0.0, 0.0, disk_s)


@given(st.integers(1, 1 << 30), st.integers(0, 1 << 34))
def test_writers_wait_only_for_a_flush_that_is_due(bytes_, dirty_bytes):
    rule = FlushRule(30.0, bytes_)
    if rule.is_full(dirty_bytes, BUSY):
        assert rule.is_due(dirty_bytes, age_s=0.0, quiet_s=0.0, disk_s=1.0)
    assert rule.is_full(FULL * bytes_, BUSY)
    assert not rule.is_full(MOST * bytes_, BUSY)
    assert not rule.is_full(dirty_bytes, READERS_GONE_S)
