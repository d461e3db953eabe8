import pytest

from memory.extraction.gates import Reason, is_english, is_ironic, reason_against


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Where do you live?", Reason.QUESTION),
        ("What is my name", Reason.QUESTION),
        ("I live near here, don't I", Reason.QUESTION),
        ('She said, "I hate this town."', Reason.QUOTATION),
        ("> I live in Rome", Reason.QUOTATION),
        ("“I am the king” is a line", Reason.QUOTATION),
        ("If I lived in Rome I'd walk", Reason.HYPOTHETICAL),
        ("I might move to Rome", Reason.HYPOTHETICAL),
        ("I may move to Rome", Reason.HYPOTHETICAL),
        ("I wish I had a dog", Reason.HYPOTHETICAL),
        ("I almost bought a boat", Reason.HYPOTHETICAL),
        ("I was going to study law", Reason.HYPOTHETICAL),
        ("Oh great, I love waiting", Reason.SARCASM),
        ("I adore late fees 🙄", Reason.SARCASM),
        ("Sure, because I'm made of money", Reason.SARCASM),
        ("I'm fine, thanks.", Reason.SMALL_TALK),
        ("Good morning!", Reason.SMALL_TALK),
        ("I'll let you know", Reason.SMALL_TALK),
        ("That makes sense", Reason.SMALL_TALK),
        ("Vivo en Madrid desde 2015", Reason.LANGUAGE),
        ("私は東京に住んでいます", Reason.LANGUAGE),
    ],
)
def test_what_states_no_fact(text, reason):
    assert reason_against(text) is reason


@pytest.mark.parametrize(
    "text",
    [
        "I live in Rome",
        "I moved here in May",
        "I'm good at chess",
        "I'm afraid of spiders",
        'I love the song "Blue Rain"',
        "I'd already eaten",
        "I know how to weld",
        "My sister's dog died",
        "I live in São Paulo",
        "No one came to my party",
        "I'm in Berlin this week",
    ],
)
def test_what_may_be_a_fact(text):
    assert reason_against(text) is None


def test_an_end_can_take_back_all_of_it():
    assert is_ironic("I love being late. Not.")
    assert is_ironic("I love being late /s")
    assert not is_ironic("I do not")


def test_names_and_accents_are_no_other_language():
    assert is_english("I met Søren and José in Łódź")
    assert not is_english("Mam na imię Zofia i mieszkam w Krakowie")
