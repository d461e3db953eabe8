"""Batches, the search of the recall floor, and the embedder measurement with a cheap embedder."""

import numpy as np

from loadtests.floors import EmbedderFloor, RecallFloor, batches_by_length, measure_embedder, nearest_first
from providers.hash_embedder import HashEmbedder


def test_batches_are_sorted_by_length_and_hold_every_text():
    texts = [letter * (7 * number % 100 + 1) for number, letter in enumerate("abcdefghij" * 8)]
    batches = batches_by_length(texts, 32)
    assert [len(batch) for batch in batches] == [32, 32, 16]
    flat = [text for batch in batches for text in batch]
    assert flat == sorted(texts, key=len)


def test_nearest_come_first():
    scores = np.array([0.1, 0.9, -0.4, 0.5], dtype=np.float32)
    assert nearest_first(scores, 2).tolist() == [1, 3]
    assert nearest_first(scores, 9).tolist() == [1, 3, 0, 2]


def test_every_session_is_measured():
    floor = measure_embedder(["one", "two", "three"] * 20, [HashEmbedder(16), HashEmbedder(16)])
    assert floor.sessions == 2
    assert floor.single_texts_per_s > 0
    assert floor.best_texts_per_s == max(floor.single_texts_per_s, floor.parallel_texts_per_s)


def test_the_best_of_the_machine_may_be_one_session():
    assert EmbedderFloor(2, 300.0, 250.0).best_texts_per_s == 300.0


def test_the_recall_floor_takes_some_time():
    embedder = HashEmbedder(16)
    assert RecallFloor(embedder, embedder.embed(["a kettle", "a kayak"])).measure_ms("kayak") > 0
