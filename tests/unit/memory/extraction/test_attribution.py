import pytest

from memory.extraction.attribution import People, attribute, people_of

ANA = People("Ana", "Ben")


@pytest.mark.parametrize(
    ("said", "attributed"),
    [
        ("I moved to Oslo.", "Ana moved to Oslo"),
        ("I'm a nurse", "Ana is a nurse"),
        ("I’ve lost my keys", "Ana has lost Ana's keys"),
        ("I'd already eaten", "Ana had already eaten"),
        ("I'd go", "Ana would go"),
        ("I'll call you on Friday", "Ana will call Ben on Friday"),
        ("I work at Acme and live in Oslo", "Ana works at Acme and lives in Oslo"),
        ("I love tea and cake", "Ana loves tea and cake"),
        ("I study law", "Ana studies law"),
        ("I don't smoke", "Ana doesn't smoke"),
        ("I never watch TV", "Ana never watches TV"),
        ("I quit my job", "Ana quit Ana's job"),
        ("I recently read Emma", "Ana recently read Emma"),
        ("I read every night", "Ana reads every night"),
        ("My sister and I own a boat", "Ana's sister and Ana own a boat"),
        ("I won and my cousin cried", "Ana won and Ana's cousin cried"),
        ("We're moving", "Ana and others are moving"),
        ("It cost us a lot", "It cost Ana and others a lot"),
        ("Our cat ran off", "Ana's cat ran off"),
        ("Well, I live here", "Ana lives here"),
        ("So many people came", "So many people came"),
        ("You told me so", "Ben told Ana so"),
        ("You have my number", "Ben has Ana's number"),
        ("He fought in World War I", "He fought in World War I"),
        ("They ship to the US", "They ship to the US"),
        ("Hey Ben, I moved", "Ana moved"),
        ("I'm a nurse and I live in Oslo", "Ana is a nurse and Ana lives in Oslo"),
        ("I no longer drive", "Ana no longer drives"),
        ("As I mentioned, I moved", "Ana moved"),
    ],
)
def test_the_speaker_is_named(said, attributed):
    assert attribute(said, ANA) == attributed


def test_nobody_is_made_up():
    assert attribute("I moved", People(None)) is None
    assert attribute("You moved", People("Ana")) is None
    assert attribute("Your cat moved", People("Ana")) is None
    assert attribute("Maria moved", People(None)) == "Maria moved"


def test_roles_stand_in_for_names():
    assert people_of(None, "user", None, None) == People("the user", "the assistant")
    assert people_of(None, "assistant", "Ana", "user") == People("the assistant", "Ana")
    assert people_of("Ana", None, "Ana", None) == People("Ana", None)
    assert attribute("I booked your flight", people_of(None, "assistant", None, "user")) == (
        "The assistant booked the user's flight"
    )
