"""Which windows share a call."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from memory.extraction.grouping import estimate_tokens, group_windows, window_tokens
from memory.extraction.port import ExtractionMode, ExtractionProfile
from tests.support.windows import window

PROFILES = (ExtractionProfile(), ExtractionProfile(mode=ExtractionMode.VERBOSE))
REQUESTS = st.lists(
    st.builds(
        lambda words, bank, profile, context: window("word " * words, bank=bank, profile=profile, context=context),
        st.integers(1, 400),
        st.sampled_from(["one", "two"]),
        st.sampled_from(PROFILES),
        st.sampled_from(["", "a chat"]),
    ),
    max_size=12,
)


@given(REQUESTS, st.integers(50, 800), st.integers(1, 4))
def test_every_window_is_in_one_call_with_its_like_and_within_the_bounds(requests, call_tokens, call_windows):
    numbered = [dataclasses.replace(each, window=f"{number:064x}") for number, each in enumerate(requests)]
    groups = group_windows(numbered, call_tokens, call_windows)
    assert sorted(each.window for group in groups for each in group) == [each.window for each in numbered]
    for group in groups:
        assert len({(each.tenant, each.bank, each.profile, each.context) for each in group}) == 1
        assert len(group) <= call_windows
        assert len(group) == 1 or sum(map(window_tokens, group)) <= call_tokens


def test_windows_that_fit_share_a_call():
    requests = [window(f"Number {number}.") for number in range(8)]
    assert [len(group) for group in group_windows(requests, 3000, 8)] == [8]


def test_other_scripts_count_a_token_a_character():
    assert estimate_tokens("word " * 40) == 51
    assert estimate_tokens("忽略之前") == 5
