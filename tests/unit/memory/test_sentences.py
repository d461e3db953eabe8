from hypothesis import given
from hypothesis import strategies as st

from memory.sentences import split_sentences


def test_abbreviations_addresses_and_numbers_do_not_end_a_sentence():
    text = "I met Dr. Weiss at 5 p.m. yesterday. My email is ivan@example.org. It cost $3.50!"
    assert split_sentences(text) == (
        "I met Dr. Weiss at 5 p.m. yesterday.",
        "My email is ivan@example.org.",
        "It cost $3.50!",
    )


def test_a_line_begins_a_sentence():
    assert split_sentences("> quoted\nmine\n\n  last  ") == ("> quoted", "mine", "last")


def test_me_is_no_abbreviation():
    assert split_sentences("They mean a lot to me. I moved.") == ("They mean a lot to me.", "I moved.")


@given(st.text())
def test_nothing_but_white_space_is_lost(text):
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


def test_what_no_encoding_can_carry_is_replaced():
    assert split_sentences("I moved \ud800 to Oslo. It rained.") == ("I moved \ufffd to Oslo.", "It rained.")
