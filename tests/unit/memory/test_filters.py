from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.errors import Unprocessable
from memory.filters import (
    TRUE,
    All,
    Any_,
    AnyOf,
    Between,
    Empty,
    HasId,
    Not,
    Size,
    Words,
    every,
    has_word,
    holds,
    tags_filter,
)

TAGS = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)
PAYLOAD = {
    "type": "world",
    "seq": 5,
    "tags": ["a", "b"],
    "none": None,
    "empty": [],
    "flag": True,
    "mentioned_at": "2026-01-02T00:00:00.000000Z",
    "text": "The red Bicycle, again: it's 2nd-hand.",
    "metadata": {"k": "v"},
}


def let_through(tree, payload=PAYLOAD) -> bool:
    return holds(tree, "id-1", payload)


def of_sets(match: str, wanted: set[str], stored: set[str]) -> bool:
    """What tags mean, in terms of sets."""
    if match == "exact":
        return wanted == stored
    if not wanted:
        return True
    return {
        "any": bool(wanted & stored) or not stored,
        "all": wanted <= stored or not stored,
        "any_strict": bool(wanted & stored),
        "all_strict": wanted <= stored,
    }[match]


@pytest.mark.parametrize("match", ["any", "all", "any_strict", "all_strict", "exact"])
@given(wanted=TAGS, stored=TAGS, absent=st.booleans())
def test_tags_mean_what_sets_say(match, wanted, stored, absent):
    payload = {} if absent and not stored else {"tags": stored}
    tree = tags_filter(wanted, match)
    assert (tree is None or let_through(tree, payload)) == of_sets(match, set(wanted), set(stored))


@pytest.mark.parametrize("match", ["any", "all", "any_strict", "all_strict"])
def test_no_tags_ask_for_nothing(match):
    assert tags_filter(None, match) is None
    assert tags_filter((), match) is None


def test_an_unknown_way_to_match_tags_is_refused():
    with pytest.raises(Unprocessable, match="tags_match is one of"):
        tags_filter(("a",), "most")


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (TRUE, True),
        (Any_(()), False),
        (Not(TRUE), False),
        (AnyOf("type", ("world", "x")), True),
        (AnyOf("type", ()), False),
        (AnyOf("tags", ("b",)), True),
        (AnyOf("tags", ("c",)), False),
        (AnyOf("seq", (5,)), True),
        (AnyOf("flag", (1,)), False),
        (AnyOf("metadata.k", ("v",)), True),
        (AnyOf("metadata.x", ("v",)), False),
        (AnyOf("type.k", ("v",)), False),
        (Empty("none"), True),
        (Empty("empty"), True),
        (Empty("absent"), True),
        (Empty("tags"), False),
        (Size("tags", 2), True),
        (Size("tags", 1), False),
        (Size("absent", 0), True),
        (Between("seq", 5, 5), True),
        (Between("seq", 6), False),
        (Between("seq", None, 4), False),
        (Between("seq"), True),
        (Between("absent"), False),
        (Between("mentioned_at", datetime(2026, 1, 1, tzinfo=UTC)), True),
        (Between("mentioned_at", None, datetime(2026, 1, 1, tzinfo=UTC)), False),
        (Words("text", "bicycle RED"), True),
        (Words("text", "bicycles"), False),
        (Words("text", "2nd hand"), True),
        (Words("text", "..."), True),
        (Words("absent", "..."), False),
        (HasId(("id-1",)), True),
        (HasId(("id-2",)), False),
        (All((AnyOf("type", ("world",)), Not(AnyOf("tags", ("c",))))), True),
        (Any_((AnyOf("type", ("x",)), Size("tags", 2))), True),
    ],
)
def test_the_reference_evaluation(tree, expected: bool):
    assert let_through(tree) is expected
    assert let_through(Not(tree)) is not expected


def test_joining_filters_leaves_out_none_and_nesting():
    one, two = Empty("a"), Empty("b")
    assert every() == TRUE
    assert every(None, one) == one
    assert every(one, None, All((two, one))) == All((one, two, one))
    assert every(TRUE, TRUE) == TRUE


@pytest.mark.parametrize(("text", "word"), [("a", True), (" - 7", True), ("...", False), ("", False), ("日本", True)])
def test_a_word_has_a_letter_or_a_digit(text: str, word: bool):
    assert has_word(text) is word
