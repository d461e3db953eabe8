"""How long a bank keeps what: rules by kind, category, tag and age. What is past its time is hidden, and swept later.

A rule is looked at whenever something is read, so that one that is changed holds from then on, for what is there too.
What has a time of its own (`expires_at`, memory/facts.py) is let go by the same work of the bank's owner.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from memory.errors import Unprocessable
from memory.filters import All, Any_, AnyOf, Between, Empty, Filter, Not, every
from memory.records import UnitKind

RULES = "retention"
"""The setting of a bank: a list of rules."""
ARCHIVED = "retention_archive"
"""The setting by which a bank's owner sweeps nothing: a job does, after it has written what goes to files."""
MAX_RULES = 32
MAX_VALUES = 64
_KINDS = frozenset(kind.value for kind in UnitKind)
_FIELDS = frozenset({"after_s", "since", "kinds", "categories", "tags"})

Since = Literal["stored", "told"]


@dataclass(frozen=True, slots=True)
class Rule:
    """Units of these kinds, categories and tags (any of each; none given: all) are past their time after `after_s`.

    Counted from when they were stored, or from when they were told (then stored, where nobody said when).
    """

    after_s: float
    since: Since = "stored"
    kinds: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def past(self, now: datetime) -> Filter:
        """Units that the rule lets go by now."""
        until = now - timedelta(seconds=self.after_s)
        stored: Filter = Between("recorded_at", lte=until)
        told: Filter = Any_((Between("mentioned_at", lte=until), All((Empty("mentioned_at"), stored))))
        return every(
            AnyOf("kind", self.kinds) if self.kinds else None,
            AnyOf("category", self.categories) if self.categories else None,
            AnyOf("tags", self.tags) if self.tags else None,
            told if self.since == "told" else stored,
        )


def read_rules(given: Any) -> tuple[Rule, ...]:
    """Rules as a setting holds them.

    Raises:
        Unprocessable: it is no list of rules; says which and why.
    """
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or len(given) > MAX_RULES:
        raise Unprocessable(f"{RULES} must be a list of at most {MAX_RULES} rules")
    return tuple(_rule(number, one) for number, one in enumerate(given, 1))


def past(rules: Sequence[Rule], now: datetime) -> Filter:
    """Units that any rule lets go by now."""
    return Any_(tuple(rule.past(now) for rule in rules))


def visible(rules: Sequence[Rule], now: datetime) -> Filter | None:
    """Units that no rule has let go; None where there is no rule."""
    return Not(past(rules, now)) if rules else None


def _rule(number: int, given: Any) -> Rule:
    where = f"{RULES}: rule {number}"
    if not isinstance(given, Mapping) or set(given) - _FIELDS:
        raise Unprocessable(f"{where} must be an object with {', '.join(sorted(_FIELDS))}")
    after_s, since = given.get("after_s"), given.get("since", "stored")
    if isinstance(after_s, bool) or not isinstance(after_s, int | float) or not 0 < after_s < float("inf"):
        raise Unprocessable(f"{where}: after_s must be a number of seconds above 0")
    if since not in {"stored", "told"}:
        raise Unprocessable(f"{where}: since must be stored or told")
    values = {name: _names(where, name, given.get(name)) for name in ("kinds", "categories", "tags")}
    if unknown := set(values["kinds"]) - _KINDS:
        raise Unprocessable(f"{where}: {min(unknown)!r} is no kind; there are {', '.join(sorted(_KINDS))}")
    return Rule(float(after_s), since, **values)


def _names(where: str, name: str, given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) and one for one in given):
        raise Unprocessable(f"{where}: {name} must be a list of texts")
    if not given or len(given) > MAX_VALUES:
        raise Unprocessable(f"{where}: {name} must have 1 to {MAX_VALUES} values; leave it out for all")
    return tuple(given)
