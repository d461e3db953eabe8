import pytest

from memory.tense import clause_at, is_past_form, looks_ahead


@pytest.mark.parametrize(
    ("clause", "ahead"),
    [
        ("I will go", True),
        ("I'm flying to Lisbon", True),
        ("the lease ends", True),
        ("I have an interview", True),
        ("I went", False),
        ("I have seen it", False),
        ("the roof was repaired", False),
        ("a nice day", None),
    ],
)
def test_where_a_clause_looks(clause, ahead):
    assert looks_ahead(clause) is ahead


def test_a_name_is_no_future():
    assert looks_ahead("Will moved") is False


def test_the_clause_of_a_place():
    text = "I was in Rome, but I will leave soon"
    assert clause_at(text, text.index("Rome")) == "I was in Rome"
    assert clause_at(text, text.index("leave")) == "I will leave soon"


def test_base_forms_in_ed_are_not_past():
    assert is_past_form("moved")
    assert is_past_form("Went")
    assert not is_past_form("need")
    assert not is_past_form("red")
