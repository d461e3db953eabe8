"""Percentiles of durations."""

import pytest

from loadtests.percentiles import Percentiles


def test_percentiles_interpolate():
    found = Percentiles.of([float(ms) for ms in range(101)])
    assert found == Percentiles(101, 50.0, 95.0, 99.0)
    assert str(found) == "p50 50.0  p95 95.0  p99 99.0 ms"


def test_one_duration_is_all_percentiles():
    assert Percentiles.of([3.0]) == Percentiles(1, 3.0, 3.0, 3.0)


def test_no_durations_have_no_percentiles():
    assert Percentiles.find([]) is None
    with pytest.raises(ValueError, match="no durations"):
        Percentiles.of([])
