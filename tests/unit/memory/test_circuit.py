"""The circuit: opens after failures in a row, lets probes through, closes with the first answer."""

from memory.circuit import Circuit, CircuitLimits


def opened(at_s: float = 0.0) -> Circuit:
    circuit = Circuit(CircuitLimits(failures=3, probe_every_s=1.0, probe_s=3.0))
    for _ in range(3):
        circuit.failed(at_s, "HTTP 500")
    return circuit


def test_it_opens_after_failures_in_a_row_with_their_reason():
    circuit = Circuit(CircuitLimits(failures=3))
    for _ in range(5):
        circuit.failed(0.0, "x")
        circuit.failed(0.0, "x")
        assert not circuit.open
        circuit.answered()
    assert opened().open
    assert opened().reason == "HTTP 500"


def test_open_it_lets_a_probe_through_each_second_and_nothing_else():
    circuit = opened(10.0)
    assert circuit.wait_s(10.0) == 1.0
    assert circuit.wait_s(11.0) == 0.0
    circuit.begin_probe(11.0, 60.0)
    assert circuit.wait_s(11.0) == 1.0


def test_most_probes_are_short_and_one_may_take_as_long_as_a_call():
    circuit = opened()
    taken = [circuit.begin_probe(float(now), 60.0) for now in range(6)]
    assert taken == [3.0, 60.0, 3.0, 3.0, 3.0, 3.0]
    circuit.end_probe(60.0)
    assert [circuit.begin_probe(float(now), 60.0) for now in (7, 8)] == [3.0, 60.0]


def test_probes_are_no_longer_than_calls():
    assert opened().begin_probe(0.0, 0.5) == 0.5


def test_the_first_answer_closes_it():
    circuit = opened()
    circuit.answered()
    assert not circuit.open
    assert circuit.wait_s(0.0) == 0.0
    circuit.failed(1.0, "x")
    assert not circuit.open


def test_several_throttles_in_a_row_make_everybody_wait_as_long_as_was_asked_but_not_for_ever():
    circuit = Circuit(CircuitLimits(failures=2))
    circuit.throttled(0.0, 7.0)
    assert circuit.wait_s(0.0) == 0.0
    circuit.throttled(0.0, 7.0)
    assert circuit.wait_s(2.0) == 5.0
    circuit.throttled(10.0, 1e9)
    circuit.throttled(10.0, 1e9)
    assert circuit.wait_s(10.0) == 60.0
    circuit.answered()
    assert circuit.wait_s(10.0) == 0.0


def test_a_probe_that_is_throttled_was_answered():
    circuit = opened()
    circuit.throttled(1.0, None)
    assert not circuit.open
