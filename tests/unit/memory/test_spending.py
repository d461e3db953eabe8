"""Tokens by day: what is spent and promised counts against caps, and a new day begins with nothing."""

from datetime import date, timedelta

from memory.extraction.port import Usage
from memory.spending import KEPT_OPERATIONS, Caps, Ledger

TODAY = date(2024, 5, 8)


def test_what_is_spent_and_promised_counts_for_bank_and_tenant():
    ledger = Ledger(Caps(bank_tokens=100, tenant_tokens=150), TODAY)
    ledger.spend("t", "a", {"op": Usage(40, 20, 1)})
    ledger.promise("t", "a", 30)
    assert ledger.refusal("t", "a", 10) is None
    assert "bank 'a' may spend 100 tokens" in ledger.refusal("t", "a", 11)
    assert ledger.refusal("t", "b", 60) is None
    assert "tenant 't' may spend 150 tokens" in ledger.refusal("t", "b", 61)
    assert ledger.refusal("u", "a", 100) is None
    ledger.promise("t", "a", -30)
    assert ledger.refusal("t", "a", 40) is None


def test_a_new_day_begins_with_nothing_and_keeps_promises():
    ledger = Ledger(Caps(bank_tokens=100), TODAY)
    ledger.spend("t", "a", {"op": Usage(100)})
    ledger.promise("t", "a", 10)
    ledger.turn_to(TODAY)
    assert ledger.refusal("t", "a", 1)
    ledger.turn_to(TODAY - timedelta(days=1))
    assert ledger.refusal("t", "a", 1)
    ledger.turn_to(TODAY + timedelta(days=1))
    assert ledger.refusal("t", "a", 90) is None
    assert ledger.refusal("t", "a", 91)


def test_operations_add_up_and_the_oldest_are_let_go():
    ledger = Ledger()
    ledger.spend("t", "a", {"first": Usage(1, 2, 1), "kept": Usage(5)})
    ledger.spend("t", "a", {"first": Usage(10, 20, 1)})
    assert ledger.of_operation("t", "a", "first") == Usage(11, 22, 2)
    assert ledger.of_operation("t", "b", "first") == Usage()
    for number in range(KEPT_OPERATIONS - 1):
        ledger.spend("t", "a", {f"later-{number}": Usage(1)})
    assert ledger.of_operation("t", "a", "kept") == Usage()
    assert ledger.of_operation("t", "a", "first") == Usage(11, 22, 2)
