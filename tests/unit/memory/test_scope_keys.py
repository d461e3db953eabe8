"""A bank's partition key names it, and only it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.ids import Scope, scope_of_key


@given(st.builds(Scope, tenant=st.text(), bank=st.text()))
def test_a_key_is_read_back(scope):
    assert scope_of_key(scope.key) == scope


@pytest.mark.parametrize("key", ["", ":", "x:a/b", "1:ab/c", "2:ab", "-1:a/b", "01:a/b", "9:a/b", " 1:a/b"])
def test_what_is_no_key_is_refused(key):
    with pytest.raises(ValueError, match=r"partition key|invalid literal"):
        scope_of_key(key)
