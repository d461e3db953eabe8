"""The baselines on a tiny corpus, and BM25 against the reference's table."""

import numpy as np
import pytest

from loadtests.baselines import order_by_bm25, order_by_cosine, order_by_fusion, order_by_score, order_by_z_fusion
from loadtests.dialogue import read_conversations
from loadtests.scoring import Hit, mean_scores, score

DOCUMENTS = ["Ada: the kettle broke", "Ben: I am paddling a kayak", "Ada: kettles and kayaks", "Ben: nothing else"]


def test_bm25_matches_stems_and_prefers_the_shorter_document():
    order = order_by_bm25(DOCUMENTS, ["Who paddles?", "A broken kayak", "the kettle"])
    assert order.shape == (3, 4)
    assert order[0, 0] == 1
    assert set(order[1, :2]) == {1, 2}
    assert set(order[2, :2]) == {0, 2}


@pytest.mark.parametrize("query", ["", "who is it?", "zebra xylophone"])
def test_bm25_keeps_the_documents_order_for_a_query_without_a_known_word(query):
    assert order_by_bm25(DOCUMENTS, [query]).tolist() == [[0, 1, 2, 3]]


def test_cosine_orders_by_dot_product():
    documents = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    queries = np.array([[0, 1], [1, 0]], dtype=np.float32)
    assert order_by_cosine(documents, queries).tolist() == [[2, 1, 0], [0, 1, 2]]


def test_fusion_sums_reciprocal_ranks():
    first = np.array([[0, 1, 2]])
    second = np.array([[1, 0, 2]])
    third = np.array([[1, 2, 0]])
    # Document 1 has ranks 2, 1, 1; document 0 ranks 1, 2, 3; document 2 ranks 3, 3, 2.
    assert order_by_fusion([first, second, third]).tolist() == [[1, 0, 2]]
    assert order_by_fusion([first]).tolist() == [[0, 1, 2]]


def test_ties_keep_the_documents_order():
    assert order_by_score(np.array([[0.5, 0.7, 0.5, 0.7]])).tolist() == [[1, 3, 0, 2]]


def test_bm25_reproduces_the_reference_on_the_dev_file(dev_file):
    scored = []
    for conversation in read_conversations(dev_file):
        documents = [f"{turn.speaker}: {turn.text}" for turn in conversation.turns]
        hits = [Hit((turn.dia_id,), len(text) / 4) for turn, text in zip(conversation.turns, documents, strict=True)]
        orders = order_by_bm25(documents, [question.text for question in conversation.questions])
        for question, order in zip(conversation.questions, orders, strict=True):
            scored.append((question.category, score([hits[index] for index in order], question.evidence)))
    means = {name: 100 * mean for name, mean in mean_scores(scored)["all"].items()}
    reference = {"R@5": 53.0, "R@10": 60.9, "R@20": 67.7, "nDCG@10": 47.7, "hit@10": 67.1, "MRR": 46.6}
    assert {name: means[name] for name in reference} == pytest.approx(reference, abs=1.5)


def test_z_fusion_adds_scores_on_one_scale_and_a_flat_one_says_nothing():
    words = np.array([[10.0, 0.0, 20.0], [5.0, 5.0, 5.0]], dtype=np.float32)
    cosines = np.array([[0.2, 0.1, 0.1], [0.1, 0.3, 0.2]], dtype=np.float32)
    assert order_by_z_fusion([(0.5, words), (0.5, cosines)]).tolist() == [[0, 2, 1], [1, 2, 0]]
    assert order_by_z_fusion([(0.9, words), (0.1, cosines)]).tolist() == [[2, 0, 1], [1, 2, 0]]
