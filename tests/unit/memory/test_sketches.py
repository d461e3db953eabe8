"""Neighbours among sketches, compared with a look at all pairs."""

from base64 import b64decode
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory.sketches import MAX_APART, Neighbours, sketch_of

START = datetime(2024, 1, 1, tzinfo=UTC)
MOST = 3
BITS = 16


def vector(bits: str) -> np.ndarray:
    return np.array([1.0 if bit == "1" else -0.5 for bit in bits], dtype=np.float32)


def test_a_sketch_has_a_bit_for_each_dimension():
    assert b64decode(sketch_of(vector("1010000011111111"))) == bytes([0b10100000, 0b11111111])


STEPS = st.lists(st.tuples(st.integers(0, 19), st.integers(0, 5), st.integers(0, 2**BITS - 1)), max_size=60)


@given(STEPS, st.lists(st.sampled_from([0, 1, 3, 0xFF00, 0xFF01, 0xFFFF]), min_size=1, max_size=6))
def test_the_nearest_are_those_of_all_pairs_whatever_came_and_went(steps, codes):
    held: dict[str, tuple[tuple[datetime, str], int]] = {}
    index = Neighbours(MOST)
    for number, hour, code in steps:
        name = f"f{number}"
        if name in held:
            del held[name]
            index.remove(name)
            continue
        alike = codes[code % len(codes)]
        held[name] = (START + timedelta(hours=hour), name), alike
        index.add(held[name][0], sketch_of(vector(f"{alike:016b}")))
    assert len(index) == len(held)
    expected = {name: nearest(name, held) for name in held}
    assert {name: [other for other, _ in index.near(name)] for name in held} == expected
    for name in held:
        assert index.nearest_of(name) == {other for other, near in expected.items() if name in near}
        assert all(0.7 < cosine <= 1 for _, cosine in index.near(name))


def nearest(name, held) -> list[str]:
    place, code = held[name]
    before = [((code ^ other).bit_count(), id_) for id_, (at, other) in held.items() if at < place]
    return [id_ for apart, id_ in sorted(before) if apart <= MAX_APART * BITS][:MOST]
