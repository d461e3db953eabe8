import pytest

from memory.extraction.slots import claims_of, schedule_of


def said(statement):
    return [(claim.subject, claim.attribute, claim.value, claim.holds) for claim in claims_of(statement)]


@pytest.mark.parametrize(
    ("statement", "claim"),
    [
        ("Ana lives in Oslo now", ("Ana", "location", "Oslo", True)),
        ("Ana has relocated to New York", ("Ana", "location", "New York", True)),
        ("Ana doesn't live in Paris anymore", ("Ana", "location", "Paris", False)),
        ("Ana used to live in Cork", ("Ana", "location", "Cork", False)),
        ("Ana works at Acme as a clerk", ("Ana", "employer", "Acme", True)),
        ("Ana quit Ana's job", ("Ana", "employer", None, False)),
        ("Ana was laid off", ("Ana", "employer", None, False)),
        ("Ana is a nurse in Leeds", ("Ana", "occupation", "nurse", True)),
        ("Ana is no longer a nurse", ("Ana", "occupation", "nurse", False)),
        ("Ana became a vegan", ("Ana", "diet", "vegan", True)),
        ("Ana is married to Stefan", ("Ana", "partner", "Stefan", True)),
        ("Ana broke up with Kenji", ("Ana", "partner", "Kenji", False)),
        ("Mia and Ana broke up", ("Ana", "partner", "Mia", False)),
        ("Ana turned 40", ("Ana", "age", "40", True)),
        ("Ana's favorite color is green", ("Ana", "favourite colour", "green", True)),
        ("Ana's new phone number is 555-0101", ("Ana", "phone number", "555-0101", True)),
        ("Ana's phone is a Pixel", ("Ana", "phone", "Pixel", True)),
        ("Ana hates cilantro", ("Ana", "likes cilantro", "no", True)),
        ("Ana sold Ana's motorbike", ("Ana", "has motorbike", None, False)),
        ("Ana stopped drinking coffee", ("Ana", "does drinking coffee", None, False)),
        ("Ana drinks coffee", ("Ana", "does drinking coffee", "yes", True)),
        ("Ana left Acme and joined Globex", ("Ana", "employer", "Globex", True)),
        ("Ana works at St. Mary's Hospital", ("Ana", "employer", "St. Mary's Hospital", True)),
        ("Ana was promoted to team lead", ("Ana", "occupation", "team lead", True)),
        ("Ana graduated from Lund", ("Ana", "occupation", "student", False)),
        ("Ana switched from Spotify to Tidal", ("Ana", "does using spotify", None, False)),
        ("Ana used to play tennis, but now Ana plays golf", ("Ana", "does playing tennis", None, False)),
        ("Ana is no longer allergic to nuts", ("Ana", "allergic to nuts", None, False)),
        ("Ana's wife is Carmen", ("Ana", "partner", "Carmen", True)),
        ("Ana's sister Maria lives in Bari", ("Maria", "location", "Bari", True)),
    ],
)
def test_a_statement_claims_a_slot(statement, claim):
    assert claim in said(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "Ana visited Oslo",
        "Ana lived in Nice",
        "Ana lives in a small flat",
        "Ana works at night",
        "Ana works for a living",
        "Ana drives to work",
        "Ana drives a lot",
        "Ana is a mother of two",
        "Ana is a huge fan of opera's history",
        "Ana met Maria",
        "Ana's car is red",
        "Ana's boss is strict",
    ],
)
def test_what_claims_no_single_value(statement):
    single = {"location", "employer", "occupation", "partner", "car", "boss"}
    assert not [claim for claim in claims_of(statement) if claim.attribute in single]


def test_two_occupations_stand_side_by_side_until_a_change_is_told():
    (beside,) = claims_of("Ana is a writer")
    (instead,) = claims_of("Ana is a writer now")
    assert (beside.replaces, instead.replaces) == (False, True)


def test_a_change_happened_and_a_state_holds():
    assert claims_of("Ana moved to Oslo")[0].happened
    assert not claims_of("Ana lives in Oslo")[0].happened


def test_a_schedule_is_a_slot_of_what_is_scheduled():
    claim = schedule_of("The launch has been moved to ", "2024-05-09")
    assert claim is not None
    assert (claim.subject, claim.attribute, claim.value) == ("The launch", "date", "2024-05-09")
    assert schedule_of("Ana went home on ", "2024-05-09") is None
