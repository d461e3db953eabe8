from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.periods import Period
from memory.query import ROLE_NAMES, understand


@pytest.mark.parametrize(
    ("query", "speakers", "embedded", "named"),
    [
        ("What does Ann like?", ["Ann"], "What does like?", ("Ann",)),
        ("What is Ann's job?", ["Ann"], "What is job?", ("Ann",)),
        ("What is Ann’s job?", ["Ann"], "What is job?", ("Ann",)),
        ("what does ANN like?", ["Ann"], "what does like?", ("Ann",)),
        ("Did Annette call?", ["Ann"], "Did Annette call?", ()),
        ("Where did Mary Ann Smith go?", ["Mary Ann Smith"], "Where did go?", ("Mary Ann Smith",)),
        ("Where did Smith go?", ["Mary Ann Smith"], "Where did go?", ("Mary Ann Smith",)),
        ("Where did Bob go with Ann?", ["Ann", "Bob", "Zoe"], "Where did go with ?", ("Ann", "Bob")),
        ("What did the user say?", ["user"], "What did the user say?", ()),
        ("Was machte José?", ["José"], "Was machte ?", ("José",)),
        ("C++ or (x)?", ["(x)"], "C++ or ?", ("(x)",)),
        ("nobody is named", [], "nobody is named", ()),
        ("a   bee", [" "], "a bee", ()),
        ("Will Ann come to Will's party?", ["Will Smith"], "Will Ann come to Will's party?", ()),
        ("Did Smith phone?", ["Will Smith"], "Did phone?", ("Will Smith",)),
        ("Who is Ann?", ["Ann"], "Who is Ann?", ("Ann",)),
    ],
)
def test_known_names_are_taken_out_of_what_is_embedded(query, speakers, embedded, named):
    made = understand(query, speakers)
    assert (made.bare, made.speakers) == (embedded, named)
    assert made.query == query


@pytest.mark.parametrize("query", ["Ann", "Ann's", "Ann & Bob?", "ann bob ANN"])
def test_a_query_that_is_only_names_stays(query: str):
    assert understand(query, ["Ann", "Bob"]).bare == query


def test_the_longer_name_is_found_before_its_part():
    assert understand("Was Ann Lee there?", ["Ann", "Ann Lee"]).speakers == ("Ann Lee",)


@pytest.mark.parametrize("role", sorted(ROLE_NAMES))
def test_roles_are_words_and_no_names(role: str):
    assert understand(f"what does the {role} do", [role, role.upper()]).speakers == ()


NAME = st.text(max_size=8)


@given(st.text(max_size=40), st.lists(NAME, max_size=4), st.randoms())
def test_the_order_of_speakers_does_not_matter_and_something_is_always_embedded(query, speakers, shuffler):
    made = understand(query, speakers)
    shuffled = speakers[:]
    shuffler.shuffle(shuffled)
    assert understand(query, shuffled) == made
    assert made.query == query
    assert set(made.speakers) <= set(speakers)
    if query.strip():
        assert made.bare.strip()


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        ("When did Ann move?", True),
        ("Can you tell me when Ann moved?", True),
        ("How long has Ann lived here?", True),
        ("In which month did it rain?", True),
        ("For how many weeks was she away?", True),
        ("What did Ann say when she moved?", False),
        ("How many boxes did Ann pack?", False),
        ("whenever", False),
    ],
)
def test_a_question_about_a_time_is_told_from_the_conjunction(query: str, asks: bool):
    assert understand(query, ()).asks_when == asks


@pytest.mark.parametrize(
    ("query", "first_person", "addressed"),
    [
        ("What car did I buy?", True, False),
        ("Which is my favourite tea?", True, False),
        ("I’m asking about the boat", True, False),
        ("Can you remind me of the boat's name?", False, False),
        ("What did you recommend to me?", True, True),
        ("Which books have you suggested?", False, True),
        ("What was your advice?", False, True),
        ("The name from our last conversation?", False, True),
        ("Can you swim?", False, False),
        ("What did Ann buy?", False, False),
    ],
)
def test_whose_words_a_question_asks_for(query: str, first_person: bool, addressed: bool):
    made = understand(query, ())
    assert (made.first_person, made.addressed) == (first_person, addressed)


def test_a_given_period_stands_in_place_of_those_the_query_names():
    given = Period(date(2024, 5, 1), date(2024, 5, 9))
    assert understand("in June", (), None, given).periods == (given,)
    assert [period.start.month for period in understand("in June", ()).periods] == [6]


def test_thousands_of_speakers_are_looked_up_by_their_words():
    many = [f"Name{number} Surname{number}" for number in range(5_000)]
    assert understand("What did Surname77 say to name4000?", many).speakers == (
        "Name4000 Surname4000",
        "Name77 Surname77",
    )


@pytest.mark.parametrize(
    ("query", "several"),
    [
        ("What activities does Ada like?", True),
        ("Which kinds of boats has she owned?", True),
        ("In what cities did they live?", True),
        ("What are her hobbies?", True),
        ("How many cats does Ben have?", True),
        ("Who were at the party?", True),
        ("What does Ada like?", False),
        ("What is the bus called?", False),
        ("Which class was it?", False),
        ("When did the boats arrive?", False),
        ("What was Ada's first boat?", False),
        ("", False),
    ],
)
def test_a_query_for_several_things_is_told(query, several):
    assert understand(query, ("Ada", "Ben")).several is several


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("What was the status of order AX-99812-B?", ("ax-99812-b",)),
        ("Did +49 170 1509322 call?", ("1509322",)),
        ("who is ana.b@example.org, and what is max_retries", ("ana.b@example.org", "max_retries")),
        ("open <https://example.org/a>", ("https://example.org/a",)),
        ("Was it 550e8400-e29b-41d4-a716-446655440000?", ("550e8400-e29b-41d4-a716-446655440000",)),
        ("the " + "x" * 30, ("x" * 30,)),
        ("What happened in 2023, on 2023-05-08 at 12:30, in the 1990s, on the 21st, on 3/5/23?", ()),
        ("What is her e-mail? and/or his?", ()),
        ("Which café was it?", ()),
    ],
)
def test_codes_are_told_from_words_and_times(query, codes):
    assert understand(query, ()).codes == codes
