import pytest

from memory.extraction.verbs import base_of, gerund, is_participle, is_verb, third_person


@pytest.mark.parametrize(
    ("base", "third"),
    [("live", "lives"), ("teach", "teaches"), ("study", "studies"), ("play", "plays"), ("go", "goes"), ("have", "has"),
     ("fix", "fixes"), ("use", "uses"), ("am", "is")],
)  # fmt: skip
def test_third_person_and_back(base, third):
    assert third_person(base) == third
    if third not in {"has", "is"}:
        assert base_of(third) == base


@pytest.mark.parametrize("verb", ["moved", "went", "can", "won't", "did", "used"])
def test_forms_that_stay(verb):
    assert third_person(verb) == verb


@pytest.mark.parametrize(
    ("base", "form"), [("smoke", "smoking"), ("run", "running"), ("drink", "drinking"), ("see", "seeing")]
)
def test_the_form_in_ing(base, form):
    assert gerund(base) == form


def test_participles_and_verbs():
    assert is_participle("eaten")
    assert not is_participle("go")
    assert is_verb("lives")
    assert not is_verb("purple")
