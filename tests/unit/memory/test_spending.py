"""Tokens by day: what is spent and promised counts against caps, and a new day begins with nothing."""

from datetime import date, timedelta

from memory.spending import Caps, Ledger

TODAY = date(2024, 5, 8)


def test_what_is_spent_and_promised_counts_for_bank_and_tenant():
    ledger = Ledger(Caps(bank_tokens=100, tenant_tokens=150), TODAY)
    ledger.spend("t", "a", 60)
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
    ledger.spend("t", "a", 100)
    ledger.promise("t", "a", 10)
    ledger.turn_to(TODAY)
    assert ledger.refusal("t", "a", 1)
    ledger.turn_to(TODAY - timedelta(days=1))
    assert ledger.refusal("t", "a", 1)
    ledger.turn_to(TODAY + timedelta(days=1))
    assert ledger.refusal("t", "a", 90) is None
    assert ledger.refusal("t", "a", 91)
