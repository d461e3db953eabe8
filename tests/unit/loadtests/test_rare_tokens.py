from loadtests.rare_tokens import KINDS, rare_tokens


def test_tokens_are_of_every_kind_and_stand_in_their_questions():
    rare = rare_tokens(200)
    assert len({one.text for one in rare}) == len({one.query for one in rare}) == 200
    tokens = [make(number) for number, make in zip(range(200), list(KINDS.values()) * 20, strict=True)]
    assert len(set(tokens)) == 200
    assert all(token in one.text and token in one.query for token, one in zip(tokens, rare, strict=True))
    assert {len(token) for token in tokens} >= {9, 10, 36, 40, 60}
    assert rare_tokens(200) == rare
