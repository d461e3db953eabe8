"""Edits of a document in blocks."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.model_edits import Edit, apply_edits, blocks_of, read_edits

DOCUMENT = "# Home\n\nAna lives in Oslo.\n  \n\n- tea\n- bread\n"


@given(st.text(alphabet="ab \n\t#-", max_size=60))
def test_blocks_joined_are_the_document(text):
    assert "".join(blocks_of(text)) == text
    assert apply_edits(text, []) == (text, [], [])


def test_blocks_that_no_edit_names_stay_byte_for_byte():
    after, applied, skipped = apply_edits(DOCUMENT, [Edit("replace", 2, "Ana lives in Rome.")])
    assert (len(applied), skipped) == (1, [])
    assert after == "# Home\n\nAna lives in Rome.\n\n- tea\n- bread\n"
    after, *_ = apply_edits(DOCUMENT, [Edit("remove", 3), Edit("insert", 0, "First."), Edit("insert", 3, "Last.")])
    assert after == "First.\n\n# Home\n\nAna lives in Oslo.\n  \n\nLast."
    assert apply_edits("", [Edit("insert", 0, "New.")])[0] == "New."


def test_edits_that_name_nothing_or_the_same_twice_are_skipped():
    edits = [Edit("replace", 9, "x"), Edit("remove", 0), Edit("replace", 1, "a"), Edit("remove", 1)]
    after, applied, skipped = apply_edits(DOCUMENT, edits)
    assert [edit.text for edit in applied] == ["a"]
    assert len(skipped) == 3
    assert after.startswith("a\n\nAna")


@pytest.mark.parametrize("text", ["no", "{}", '{"edits":[1]}', '{"edits":[{"do":"drop","block":1}]}', "[]"])
def test_what_is_no_edit_is_not_read(text):
    assert read_edits(text) is None


def test_edits_are_read():
    said = {"edits": [{"do": "remove", "block": 2, "text": None}, {"do": "insert", "block": 0, "text": " x "}]}
    assert read_edits(json.dumps(said | {"used": ["m1", 3]})) == ([Edit("remove", 2), Edit("insert", 0, "x")], ("m1",))
    assert read_edits('{"edits":[]}') == ([], ())
