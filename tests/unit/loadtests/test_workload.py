"""Generated traffic."""

from collections import Counter

import pytest

from loadtests.workload import MAX_ITEMS, Recall, Retain, Workload, retain_item

BANKS = ("a", "b", "c")


def actions(seed, stream, count=2000):
    workload = Workload(seed, stream, BANKS)
    return [workload.next_action() for _ in range(count)]


def test_the_same_seed_and_stream_give_the_same_actions():
    assert actions(7, 0, 500) == actions(7, 0, 500)


@pytest.mark.parametrize("other", [(8, 0), (7, 1)])
def test_another_seed_or_stream_gives_others(other):
    assert actions(7, 0, 50) != actions(*other, 50)


def test_the_mix_is_seventy_twenty_ten():
    kinds = Counter(type(action).__name__ for action in actions(1, 0))
    assert kinds["Recall"] / 2000 == pytest.approx(0.7, abs=0.03)
    assert kinds["Retain"] / 2000 == pytest.approx(0.2, abs=0.03)
    assert (kinds["ListDocuments"] + kinds["GetDocument"]) / 2000 == pytest.approx(0.1, abs=0.02)


def test_all_banks_are_used():
    assert {action.bank_id for action in actions(1, 0) if isinstance(action, Recall)} == set(BANKS)


def test_documents_and_codes_never_meet_not_even_between_streams():
    retains = [action for stream in range(3) for action in actions(1, stream) if isinstance(action, Retain)]
    codes = [fact.code for action in retains for fact in action.facts]
    assert len(set(codes)) == len(codes)
    assert len({action.document_id for action in retains}) == len(retains)
    assert {len(action.facts) for action in retains} == set(range(1, MAX_ITEMS + 1))


def test_a_fact_holds_its_code_and_is_a_valid_item():
    fact = Workload(1, 0, BANKS).next_fact()
    assert fact.code in fact.text
    assert fact.speaker not in fact.text
    item = retain_item(fact, "d")
    assert item == {"content": fact.text, "document_id": "d", "metadata": {"speaker": fact.speaker}}
