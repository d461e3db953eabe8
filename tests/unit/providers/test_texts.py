from hypothesis import given
from hypothesis import strategies as st

from providers.texts import well_formed


@given(st.lists(st.text()))
def test_well_formed_texts_stay_as_they_are(texts: list[str]):
    assert well_formed(texts) == texts


def test_lone_surrogates_become_question_marks():
    assert well_formed(["a\ud800\udfffb", "\udc80"]) == ["a??b", "?"]
