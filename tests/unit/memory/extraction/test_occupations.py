import pytest

from memory.extraction.occupations import occupation_in


@pytest.mark.parametrize(
    ("phrase", "occupation"),
    [
        ("a paramedic", "paramedic"),
        ("an old sea captain of the fleet", "old sea captain"),
        ("head chef", "head chef"),
        ("a software engineer at Acme", "software engineer"),
        ("a mother of two", None),
        ("a partner", None),
        ("tired", None),
    ],
)
def test_what_names_an_occupation(phrase, occupation):
    assert occupation_in(phrase) == occupation
