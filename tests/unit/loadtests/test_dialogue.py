"""Reading LoCoMo files and repairing their evidence."""

from datetime import UTC, datetime

import pytest

from loadtests.dialogue import dia_ids_in, read_conversations, repaired_evidence

KNOWN = {"D8:6", "D9:17", "D30:5", "D11:26"}


@pytest.mark.parametrize(
    ("raw", "repaired"),
    [
        (["D8:6"], {"D8:6"}),
        (["D8:6; D9:17"], {"D8:6", "D9:17"}),
        (["D8:6 D9:17", "D8:6"], {"D8:6", "D9:17"}),
        (["D30:05"], {"D30:5"}),
        (["D:11:26"], {"D11:26"}),
        (["D8:7"], set()),
        (["D"], set()),
        ([], set()),
    ],
)
def test_evidence_is_repaired_and_unknown_turns_are_dropped(raw, repaired):
    assert repaired_evidence(raw, KNOWN) == repaired


def test_dia_ids_are_found_once_in_order_whatever_separates_them():
    assert dia_ids_in('["D2:3", "D1:1"], D2:3;D10:4') == ("D2:3", "D1:1", "D10:4")
    assert dia_ids_in("") == ()


def test_only_questions_with_an_answer_and_evidence_remain(dialogue_file):
    first, second = read_conversations(dialogue_file)
    assert (first.conversation_id, second.conversation_id) == ("talk-1", "talk-2")
    assert [(one.category, one.evidence) for one in first.questions] == [(1, {"D1:1", "D2:2"}), (4, {"D1:2"})]
    assert [turn.dia_id for turn in first.turns] == ["D1:1", "D1:2", "D1:3", "D2:1", "D2:2"]
    assert first.turns[3].started_at == datetime(2024, 3, 9, 18, tzinfo=UTC)


def test_captions_join_the_text_only_when_asked_for(dialogue_file):
    (plain,) = read_conversations(dialogue_file, limit=1)
    (captioned,) = read_conversations(dialogue_file, limit=1, captions=True)
    assert plain.turns[1].text == "I bought a blue kayak."
    assert captioned.turns[1].text == "I bought a blue kayak. [shared image: a blue boat]"
    assert captioned.turns[0] == plain.turns[0]


@pytest.mark.parametrize("line", ["{", "{}", "[]", '{"conversation": "x", "sessions": [{}], "questions": []}'])
def test_a_line_that_is_no_conversation_is_named(tmp_path, line):
    path = tmp_path / "bad.ndjson"
    path.write_text("\n" + line)
    with pytest.raises(ValueError, match=r"bad\.ndjson, line 2: not a LoCoMo conversation"):
        read_conversations(path)


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "empty.ndjson"
    path.write_text("\n")
    with pytest.raises(ValueError, match="holds no conversation"):
        read_conversations(path)


def test_the_dev_file_has_as_many_usable_questions_as_the_reference_counted(dev_file):
    conversations = read_conversations(dev_file)
    assert sum(len(one.questions) for one in conversations) == 760
    assert sum(len(one.turns) for one in conversations) == 2760
