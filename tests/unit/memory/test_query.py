import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.query import ROLE_NAMES, understand


@pytest.mark.parametrize(
    ("query", "speakers", "embedded", "named"),
    [
        ("What does Ann like?", ["Ann"], "What does like?", ("Ann",)),
        ("What is Ann's job?", ["Ann"], "What is job?", ("Ann",)),
        ("What is Ann’s job?", ["Ann"], "What is job?", ("Ann",)),
        ("what does ANN like?", ["Ann"], "what does like?", ("Ann",)),
        ("Did Annette call?", ["Ann"], "Did Annette call?", ()),
        ("Where did Mary Ann Smith go?", ["Mary Ann Smith"], "Where did go?", ("Mary Ann Smith",)),
        ("Where did Smith go?", ["Mary Ann Smith"], "Where did go?", ("Mary Ann Smith",)),
        ("Where did Bob go with Ann?", ["Ann", "Bob", "Zoe"], "Where did go with ?", ("Ann", "Bob")),
        ("What did the user say?", ["user"], "What did the user say?", ()),
        ("Was machte José?", ["José"], "Was machte ?", ("José",)),
        ("C++ or (x)?", ["(x)"], "C++ or ?", ("(x)",)),
        ("nobody is named", [], "nobody is named", ()),
        ("a   b", [" "], "a b", ()),
    ],
)
def test_known_names_are_taken_out_of_what_is_embedded(query, speakers, embedded, named):
    made = understand(query, speakers)
    assert (made.dense, made.speakers) == (embedded, named)
    assert made.lexical == query


@pytest.mark.parametrize("query", ["Ann", "Ann's", "Ann & Bob?", "ann bob ANN"])
def test_a_query_that_is_only_names_stays(query: str):
    assert understand(query, ["Ann", "Bob"]).dense == query


def test_the_longer_name_is_found_before_its_part():
    assert understand("Was Ann Lee there?", ["Ann", "Ann Lee"]).speakers == ("Ann Lee",)


@pytest.mark.parametrize("role", sorted(ROLE_NAMES))
def test_roles_are_words_and_no_names(role: str):
    assert understand(f"what does the {role} do", [role, role.upper()]).speakers == ()


NAME = st.text(max_size=8)


@given(st.text(max_size=40), st.lists(NAME, max_size=4), st.randoms())
def test_the_order_of_speakers_does_not_matter_and_something_is_always_embedded(query, speakers, shuffler):
    made = understand(query, speakers)
    shuffled = speakers[:]
    shuffler.shuffle(shuffled)
    assert understand(query, shuffled) == made
    assert made.lexical == query
    assert set(made.speakers) <= set(speakers)
    if query.strip():
        assert made.dense.strip()
