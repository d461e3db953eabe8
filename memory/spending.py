"""Tokens spent by day, by bank and tenant, and the caps on them. Pure; the day comes in as a date."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(frozen=True, slots=True)
class Caps:
    """Tokens that a bank and a tenant may spend in a day (UTC); None: no limit."""

    bank_tokens: int | None = None
    tenant_tokens: int | None = None


@dataclass(slots=True)
class Ledger:
    """What was spent, and what is promised to calls under way, today. A new day begins with nothing."""

    caps: Caps = field(default_factory=Caps)
    day: date = date.min
    spent: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    """Tokens by (tenant, bank) and by (tenant, None)."""
    _promised: Counter[tuple[str, str | None]] = field(default_factory=Counter)

    def turn_to(self, day: date) -> None:
        """Begin another day, if it is one; a clock that goes back changes nothing."""
        if day > self.day:
            self.day = day
            self.spent.clear()

    def refusal(self, tenant: str, bank: str, tokens: int) -> str | None:
        """Why so many tokens more may not be spent; None: they may."""
        for name, key, cap in (
            (f"bank {bank!r}", (tenant, bank), self.caps.bank_tokens),
            (f"tenant {tenant!r}", (tenant, None), self.caps.tenant_tokens),
        ):
            if cap is not None and self.spent[key] + self._promised[key] + tokens > cap:
                return (
                    f"{name} may spend {cap} tokens of the language model a day: {self.spent[key]} of {self.day} (UTC)"
                    f" are spent, {self._promised[key]} are under way, {tokens} more were asked for"
                )
        return None

    def promise(self, tenant: str, bank: str, tokens: int) -> None:
        """Tokens that a call under way may spend; negative: it has ended."""
        for key in ((tenant, bank), (tenant, None)):
            self._promised[key] += tokens
            if not self._promised[key]:
                del self._promised[key]

    def spend(self, tenant: str, bank: str, tokens: int) -> None:
        """Tokens that a call has spent."""
        self.spent[tenant, bank] += tokens
        self.spent[tenant, None] += tokens

    def state(self) -> dict[str, Any]:
        """The day's spending as it is stored: JSON-ready."""
        rows = [[tenant, bank, tokens] for (tenant, bank), tokens in self.spent.items() if bank is not None]
        return {"day": self.day.isoformat(), "spent": rows}

    def restore(self, state: Mapping[str, Any], day: date) -> None:
        """Add what was spent on that day before this ledger began."""
        self.turn_to(day)
        if state["day"] == self.day.isoformat():
            for tenant, bank, tokens in state["spent"]:
                self.spent[tenant, bank] += tokens
                self.spent[tenant, None] += tokens
