"""What readers may see of banks with rules of retention: all that is not past its time, swept or not."""

from dataclasses import replace
from datetime import datetime

from actors.settings import Settings, inherited_by
from memory.filters import Filter, every
from memory.ids import Scope
from memory.recall import RecallQuery
from memory.records import Head, RecallProfile
from memory.retention import RULES, Rule, read_rules, visible


class Kept:
    """Rules by bank: its own, which its recall profile has, else its tenant's, else the deployment's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def visible(self, scope: Scope, profile: RecallProfile, now: datetime) -> Filter | None:
        """Units that may be shown; None: all."""
        return visible(self._rules(scope.tenant, profile), now)

    def narrow(self, scope: Scope, query: RecallQuery, profile: RecallProfile, now: datetime) -> RecallQuery:
        """A query that finds nothing past its time."""
        kept = self.visible(scope, profile, now)
        return query if kept is None else replace(query, where=every(query.where, kept))

    def beside(self, scope: Scope, head: Head, where: Filter, now: datetime) -> Filter:
        """A filter that lets nothing through that is past its time."""
        own = head.profile.get(RULES)
        profile = RecallProfile(retention=None if own is None else tuple(own))
        return every(where, self.visible(scope, profile, now))

    def _rules(self, tenant: str, profile: RecallProfile) -> tuple[Rule, ...]:
        if profile.retention is not None:
            return read_rules(profile.retention)
        if not (self._settings.bank_defaults or self._settings.tenant_defaults):
            return ()
        return read_rules(inherited_by(self._settings, tenant).get(RULES))
