"""The setting `entity_labels`, as banks were given it here and by Hindsight."""

import pytest

from memory.extraction.labels import read_labels, unreadable_label
from memory.extraction.port import EntityLabel, LabelKind

MOOD = {"key": "mood", "description": "how it felt", "values": [{"value": "good", "description": "fine"}, "bad"]}
READ = EntityLabel("mood", "how it felt", LabelKind.VALUE, (("good", "fine"), ("bad", "")))


@pytest.mark.parametrize("stored", [[MOOD], {"attributes": [MOOD]}, [{**MOOD, "type": "value"}], [3, MOOD]])
def test_a_vocabulary_is_read(stored):
    assert read_labels(stored) == (READ,)


def test_every_kind_is_read():
    kinds = [{"key": kind.value, "type": kind.value, "values": ["x"]} for kind in LabelKind]
    assert [label.kind for label in read_labels(kinds)] == list(LabelKind)
    assert read_labels([{"key": "note", "type": "text"}]) == (EntityLabel("note", kind=LabelKind.TEXT),)


@pytest.mark.parametrize(
    "line",
    [
        3,
        {},
        {"key": ""},
        {"key": "a"},
        {"key": "a", "type": "colour"},
        {"key": "a", "values": "x"},
        {"key": "a", "values": [3]},
    ],
)
def test_what_is_no_label_is_named_and_left_out(line):
    assert read_labels([line, MOOD]) == (READ,)
    assert unreadable_label([MOOD, line]) == repr(line)
    assert unreadable_label([MOOD]) is None


def test_nothing_and_nonsense():
    assert (read_labels(None), unreadable_label(None)) == ((), None)
    assert (read_labels("mood"), unreadable_label("mood")) == ((), "'mood'")
