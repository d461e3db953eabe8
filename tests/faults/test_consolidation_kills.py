"""Consolidation whose host is killed again and again ends where one that is left alone does."""

import pytest

from loadtests.consolidation_kills import drain_under_kills

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

KILLS = 10
FACTS = 1000


def test_observations_after_ten_kills_are_those_of_an_undisturbed_run() -> None:
    made = drain_under_kills(FACTS, KILLS, {"LOREBANK_EMBEDDER": "hash", "LOREBANK_CONSOLIDATION": "rules"})
    print(made.said)
    assert made.is_same
    assert made.kills == KILLS, "each came while facts waited"
    assert made.observations > FACTS // 10
