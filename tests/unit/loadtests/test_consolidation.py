"""What is told, scanned and checked when consolidation is measured; without a server."""

import pytest

from loadtests.consolidation import Drain, check
from loadtests.consolidation_kills import Killed
from loadtests.observed_banks import DOCUMENT_TURNS, Scan, turns
from loadtests.timed_connection import LoadError


def test_each_person_says_as_much_in_one_document_as_in_the_next():
    told = list(turns(1000))
    assert told == list(turns(1000))
    assert len({(turn["name"], turn["content"]) for turn in told}) == 1000
    first, second = told[:DOCUMENT_TURNS], told[DOCUMENT_TURNS : 2 * DOCUMENT_TURNS]
    people = [{turn["name"] for turn in part} for part in (first, second)]
    assert people[0] == people[1]
    assert len(people[0]) == 10


def test_a_scan_finds_what_rests_on_what_is_not_there():
    observations = {"o": ("xy", ("b", "a"))}
    assert Scan({"a": "x", "b": "y"}, observations).orphans == []
    assert Scan({"a": "x"}, observations).orphans == ["o"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lag": 1}, "watermark"),
        ({"changed_by_second_run": 1}, "second run"),
        ({"left_without_source": 1}, "not there"),
        ({"cited_deleted": 0}, "no observation rested"),
    ],
)
def test_what_does_not_hold_is_said(wrong, said):
    check([Drain(facts=5, cited_deleted=1)], Killed(10, 5, 1, is_same=True))
    with pytest.raises(LoadError, match=said):
        check([Drain(facts=5, **{"cited_deleted": 1, **wrong})], None)
    with pytest.raises(LoadError, match="kills"):
        check([], Killed(10, 5, 1, is_same=False))
