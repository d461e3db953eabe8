import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory.reranking import Reranked, best_places, texts_at

SCORE = st.integers(-90, 90).map(lambda tenths: tenths / 10)


@given(st.lists(SCORE, min_size=1, max_size=9), st.data())
def test_the_best_change_places_among_themselves(ranking, data):
    ranking = np.array(ranking, dtype=np.float64)
    places = best_places(ranking, data.draw(st.integers(1, len(ranking))))
    scores = data.draw(st.lists(SCORE, min_size=len(places), max_size=len(places)))
    changed = Reranked(tuple(places), tuple(scores), 1.0).reorder(ranking)
    assert sorted(changed.tolist()) == sorted(ranking.tolist())
    rest = [place for place in range(len(ranking)) if place not in places]
    assert changed[rest].tolist() == ranking[rest].tolist()
    by_model = sorted(zip(scores, changed[places].tolist(), strict=True))
    if len(set(scores)) == len(scores):
        assert [own for _, own in by_model] == sorted(own for _, own in by_model)


def test_half_the_weight_leaves_half_a_say():
    ranking = np.array([9.0, 1.0, 0.9])
    assert Reranked((0, 1, 2), (0.1, 0.1, 0.2), 0.3).reorder(ranking).tolist() == [9.0, 0.9, 1.0]
    assert Reranked((0, 1, 2), (0.1, 0.1, 0.2), 1.0).reorder(ranking).tolist() == [1.0, 0.9, 9.0]
    assert Reranked((0,), (0.1,), 1.0).reorder(ranking).tolist() == ranking.tolist()
    assert Reranked((0, 1, 2), (0.5, 0.5, 0.5), 0.5).reorder(ranking).tolist() == ranking.tolist()


def test_speakers_are_read_too():
    assert texts_at(["hi", "there"], ["Ada", None], [1, 0]) == ["there", "Ada: hi"]
