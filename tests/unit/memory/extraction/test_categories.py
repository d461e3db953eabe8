from datetime import UTC, datetime

import pytest

from memory.extraction.candidates import Category, Claim
from memory.extraction.categories import category_of
from memory.timeline import calendar_of

SAID_AT = datetime(2024, 5, 8, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("statement", "category"),
    [
        ("Ana is a painter of boats", Category.IDENTITY),
        ("Ana prefers trains", Category.PREFERENCE),
        ("Ana plans to sell the house", Category.PLAN),
        ("Ana went to Rome", Category.EVENT),
        ("Ana owns a vineyard", Category.POSSESSION),
        ("Ana has two daughters", Category.RELATIONSHIP),
        ("Ana thinks the logo is ugly", Category.OPINION),
        ("Will went to Rome", Category.EVENT),
    ],
)
def test_the_most_telling_cue_decides(statement, category):
    assert category_of(statement, (), None, SAID_AT) is category


def test_a_time_ahead_makes_a_plan_and_a_claim_its_kind():
    assert category_of("Ana flies home", (), calendar_of(SAID_AT).day(3), SAID_AT) is Category.PLAN
    assert (
        category_of("Ana drinks tea", (Claim("Ana", "does drinking tea", "yes"),), None, SAID_AT) is Category.PREFERENCE
    )
