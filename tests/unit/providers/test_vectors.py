import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from memory.errors import ModelUnusable
from providers.vectors import unit_rows

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(arrays(np.float64, (3, 5), elements=FINITE))
def test_finite_rows_become_unit_rows_or_are_refused_as_zeros(values: np.ndarray):
    if not values.any(axis=1).all():
        with pytest.raises(ModelUnusable, match="zeros"):
            unit_rows(values, 3, 5, "model")
        return
    rows = unit_rows(values, 3, 5, "model")
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, 2.0]], r"expected vectors of shape \(1, 3\), found \(1, 2\)"),
        ([[1.0, 2.0, 3.0]] * 2, r"found \(2, 3\)"),
        ([1.0, 2.0, 3.0], r"found \(3,\)"),
        ([], r"found \(0,\)"),
        ([[1.0, float("nan"), 0.0]], "not finite"),
        ([[1.0, float("-inf"), 0.0]], "not finite"),
        ([[1.0, None, 0.0]], "not finite"),
        ([[0.0, -0.0, 0.0]], "zeros"),
        ([["a", "b", "c"]], "no list of number rows"),
        ([{"a": 1}], "no list of number rows"),
        ([[1.0, 2.0, [3.0]]], "no list of number rows"),
        ([[10**400, 1, 1]], "no list of number rows"),
        (["AAAA"], "no list of number rows"),
    ],
)
def test_what_is_no_matrix_of_directions_is_refused(values, message: str):
    with pytest.raises(ModelUnusable, match=f"model: .*{message}"):
        unit_rows(values, 1, 3, "model")


def test_an_unknown_width_is_accepted_unless_it_is_zero():
    assert unit_rows([[3, 4]], 1, None, "model") == pytest.approx(np.array([[0.6, 0.8]]))
    with pytest.raises(ModelUnusable, match="zeros"):
        unit_rows([[]], 1, None, "model")
