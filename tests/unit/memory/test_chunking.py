import random
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memory.chunking import (
    MAX_CHUNK_CHARS,
    Pieces,
    cut_markdown,
    cut_message,
    cut_passages,
    cut_prose,
    looks_like_markdown,
    shared_speaker_form,
    speaker_prefix,
    transcript_turns,
)
from tests.support.strategies import LOREM

CUTS = [cut_message, cut_passages, cut_prose, cut_markdown]
FRAGMENT = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "\n",
            "\r\n",
            "\n\n",
            "\n \t\n",
            "\r\n\r\n",
            "\x00",
            "\x1c",
            "\x85",
            "\u2028",
            "\u00a0",
            "\ufeff",
            "👩‍👩‍👧‍👦",
            "🇪🇺",
            "e\u0301",
            "# Heading\n",
            "```\n",
            "~~~~",
            "- item\n",
            "1. item\n",
            "Ann: hi\n",
            "Bob: hello\n",
            "A sentence. Another one! ",
            "word " * 60,
            "x" * 950,
            "é" * 400,
        ]
    ),
)
ANY_TEXT = st.lists(FRAGMENT, max_size=30).map("".join)


def texts(pieces: Pieces) -> list[str]:
    return [piece.text for piece in pieces.items]


def prose(paragraphs: int, seed: int = 1) -> list[str]:
    """Paragraphs of 60 to 700 characters, all different."""
    chooser = random.Random(seed)
    return [
        f"Paragraph {number} says: " + " ".join(chooser.choices(LOREM, k=chooser.randint(10, 100))) + "."
        for number in range(paragraphs)
    ]


@pytest.mark.parametrize("cut", CUTS)
@given(text=ANY_TEXT)
@example(text="\r\nAnn: hi\r\n\r\nBob: hello\r\n")
@example(text="a" + "\u0301" * 2000)
@example(text="\n\n".join(["# A"] * 400))
def test_pieces_and_separators_give_the_text_back_byte_for_byte(cut, text: str):
    pieces = cut(text)
    assert pieces.original() == text
    assert "".join(p.separator + p.text for p in pieces.items) + pieces.tail == text


@pytest.mark.parametrize("cut", CUTS)
@given(text=ANY_TEXT)
def test_no_piece_is_blank_or_too_long(cut, text: str):
    for piece in cut(text).items:
        assert piece.text.strip()
        assert len(piece.text) <= MAX_CHUNK_CHARS


@pytest.mark.parametrize("cut", CUTS)
@given(text=ANY_TEXT)
def test_every_letter_is_in_a_piece(cut, text: str):
    pieces = cut(text)
    assert not any(piece.separator.strip() for piece in pieces.items)
    assert not pieces.tail.strip()


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\t\r\n "])
@pytest.mark.parametrize("cut", CUTS)
def test_a_blank_text_has_no_piece(cut, text: str):
    assert cut(text) == Pieces((), text)


@given(st.text(min_size=1, max_size=MAX_CHUNK_CHARS))
def test_a_message_that_fits_is_one_piece(text: str):
    if text.strip():
        assert texts(cut_message(text)) == [text]


def test_the_longest_message_that_fits_is_one_piece_and_one_more_letter_makes_two():
    assert len(cut_message("y" * MAX_CHUNK_CHARS).items) == 1
    assert len(cut_message("y" * (MAX_CHUNK_CHARS + 1)).items) == 2


def test_a_long_message_is_cut_between_paragraphs_before_sentences_before_words():
    paragraph = "Something was said here. " * 20
    assert texts(cut_message(f"{paragraph}\n\n{paragraph}")) == [paragraph.strip(), paragraph.strip()]
    assert all(part.endswith(".") for part in texts(cut_message("One sentence of the story. " * 80)))
    assert all(set(part) == set("word ") for part in texts(cut_message("word " * 500)))


def test_short_paragraphs_of_prose_share_a_piece_and_long_ones_have_their_own():
    long = "word " * 100
    pieces = cut_prose(f"One.\n\nTwo.\n\nThree.\n\n{long}\n\nFour.")
    assert texts(pieces) == [f"One.\n\nTwo.\n\nThree.\n\n{long.strip()}", "Four."]


def test_a_heading_opens_a_piece():
    body = "Some words about it. " * 20
    text = f"# One\n\n{body}\n\n## Two\n\n{body}\n\nMore of two.\n\n# Three\nshort"
    parts = texts(cut_passages(text))
    assert [part.split("\n")[0] for part in parts] == ["# One", "## Two", "# Three"]
    assert parts[1].endswith("More of two.")


def test_a_heading_stays_with_what_it_heads():
    parts = texts(cut_markdown("# Title\n\n" + "word " * 175 + "\n\nafter"))
    assert parts[0].startswith("# Title\n\nword")


def test_fenced_code_that_fits_is_not_cut():
    code = "```python\n# not a heading\n\nx = 1\n\n\ny = 2\n```"
    text = "# Title\n\n" + "Intro words. " * 60 + f"\n\n{code}\n\n# Next\n\n" + "More words. " * 40
    assert sum(code in part for part in texts(cut_passages(text))) == 1


def test_a_fence_left_open_reaches_to_the_end():
    text = "# A\n\n~~~\nx\n\n# y\n\nz"
    assert texts(cut_markdown(text)) == [text]


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("# Title\ntext", True),
        ("text\n   ## Deep\n", True),
        ("see\n```\ncode\n```", True),
        ("- a\n- b\n- c", True),
        ("1. a\n2. b\n3) c", True),
        ("- a\n- b", False),
        ("#hashtag and #another", False),
        ("plain words", False),
    ],
)
def test_markdown_is_told_by_headings_fences_and_lists(text: str, markdown: bool):
    assert looks_like_markdown(text) is markdown


@pytest.mark.parametrize("edited", [0, 7, 20, 39])
@pytest.mark.parametrize("cut", [cut_prose, cut_markdown])
def test_editing_one_paragraph_leaves_nearly_all_pieces_as_they_were(cut, edited: int):
    paragraphs = prose(40)
    before = texts(cut("\n\n".join(paragraphs)))
    paragraphs[edited] = paragraphs[edited].replace("says", "now says something else and")
    after = texts(cut("\n\n".join(paragraphs)))
    assert len(set(before) - set(after)) <= 3
    assert len(before) >= 12


def test_inserting_a_paragraph_leaves_nearly_all_pieces_as_they_were():
    paragraphs = prose(60, seed=3)
    before = set(texts(cut_prose("\n\n".join(paragraphs))))
    paragraphs.insert(30, "A short remark that was not there.")
    assert len(before - set(texts(cut_prose("\n\n".join(paragraphs))))) <= 3


def test_a_transcript_is_cut_by_turns_with_their_speakers():
    text = "Ann: Hello there.\nBob: Hi!\n\nAnn: How are you?\nstill Ann\nBob: Fine: thanks.\n"
    pieces = transcript_turns(text)
    assert pieces is not None
    assert [(p.speaker, p.text) for p in pieces.items] == [
        ("Ann", "Ann: Hello there."),
        ("Bob", "Bob: Hi!"),
        ("Ann", "Ann: How are you?\nstill Ann"),
        ("Bob", "Bob: Fine: thanks."),
    ]
    assert pieces.original() == text
    assert cut_passages(text) == pieces


def test_a_long_turn_of_a_transcript_is_split_and_keeps_its_speaker():
    pieces = transcript_turns("Ann: " + "word " * 300 + "\nBob: ok\nAnn: bye\n")
    assert pieces is not None
    assert [p.speaker for p in pieces.items] == ["Ann", "Ann", "Bob", "Ann"]


@pytest.mark.parametrize(
    "text",
    [
        "Note: buy milk\nBuy: bread",
        "Name: Ann\nAge: 30\nCity: Rome\nJob: baker",
        "Ann: hello",
        "Ann: hello\nsome prose\nmore prose\nand more\nBob: hi",
        "just a line\nand another",
        "12:30: lunch\n13:00: walk\n12:30: lunch",
        "http://a.example\nhttp://b.example\n",
        "",
    ],
)
def test_notes_forms_and_prose_are_no_transcripts(text: str):
    assert transcript_turns(text) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ann: hi", "Ann"),
        ("  Dr. Ann O’Neill-Smith: hi", "Dr. Ann O’Neill-Smith"),
        ("李雷: 你好", "李雷"),
        ("Ann:hi", None),
        ("Ann: ", None),
        (": hi", None),
        ("1st: hi", None),
        ("a" * 41 + ": hi", None),
        ("no colon", None),
    ],
)
def test_a_speakers_name_stands_before_colon_and_space(text: str, name: str | None):
    assert speaker_prefix(text) == name


def test_names_must_come_back_for_a_shared_speaker_form():
    assert shared_speaker_form(["Ann: a", "Bob: b", "Ann: c"])
    assert shared_speaker_form(["Ann: a", "Ann: b"])
    assert not shared_speaker_form(["Ann: a", "Bob: b"])
    assert not shared_speaker_form(["Ann: a"])
    assert not shared_speaker_form([])


@pytest.mark.parametrize(
    "text",
    [
        "Ann: hi\n" + " " * 200_000 + "\nBob: hi",
        "```\n\n" * 40_000,
        "\n \n" * 60_000 + "x",
        "# " + " " * 200_000 + "\n",
        "- " * 100_000,
        "Ann:" + "\t" * 200_000,
        "x" * 200_000,
    ],
    ids=["blank line", "fences", "blank lines", "empty heading", "bullets", "tabs", "one word"],
)
def test_no_text_takes_more_than_linear_time(text: str):
    """Generous, since the machine is shared: the quadratic forms took minutes."""
    started = time.process_time()
    assert cut_passages(text).original() == text
    assert time.process_time() - started < 3
