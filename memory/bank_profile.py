"""A bank's profile: name, mission, disposition and switches as stored, and what holds where nothing is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memory.addresses import Address
from memory.consolidating.scopes import COMBINED, encode_scoping
from memory.errors import Unprocessable
from memory.retention import ARCHIVED, RULES, read_rules

TRAITS = ("skepticism", "literalism", "empathy")
NAME = "name"
SCOPE = "scope"
"""The bank's address (memory.addresses), as it was given to it; no setting."""
RERANKING = "enable_reranking"
"""Whether late interaction ranks, where units have token vectors."""

OBSERVING = "enable_observations"
"""Whether what several facts come to is kept as observations."""
PAUSED = "consolidation_paused"
"""Whether what is to be consolidated waits until this is taken back."""
SCOPING = "default_observation_scopes"
"""How facts are scoped that say nothing of it: a mode of memory.consolidating.scopes, or scopes."""

DEFAULTS: Mapping[str, Any] = {
    "reflect_mission": None,
    "retain_mission": None,
    "observations_mission": None,
    "retain_extraction_mode": "concise",
    "retain_custom_instructions": None,
    OBSERVING: False,
    PAUSED: False,
    SCOPING: COMBINED,
    "enable_text_search": True,
    "enable_temporal_retrieval": False,
    "enable_graph_retrieval": False,
    RULES: None,
    ARCHIVED: False,
    RERANKING: True,
    **{f"disposition_{trait}": 3 for trait in TRAITS},
}
"""Settings of a bank that set nothing: what this version does."""


@dataclass(frozen=True, slots=True)
class BankProfile:
    """What a bank is called and how it answers; traits are 1 to 5, 3 being neutral."""

    name: str
    mission: str
    disposition: Mapping[str, int]


def read_profile(bank: str, stored: Mapping[str, Any], inherited: Mapping[str, Any] | None = None) -> BankProfile:
    """Profile of a bank; its id is its name until it is given one."""
    settings = resolve_settings(stored, inherited)
    return BankProfile(
        name=stored.get(NAME) or bank,
        mission=settings["reflect_mission"] or "",
        disposition={trait: settings[f"disposition_{trait}"] for trait in TRAITS},
    )


def address_of(stored: Mapping[str, Any]) -> Address | None:
    """A bank's address, if it was given one."""
    given = stored.get(SCOPE)
    return Address(given["host"], given.get("agent"), given.get("user")) if given else None


def address_row(address: Address) -> dict[str, str]:
    """An address as it is stored and shown."""
    parts = {"host": address.host, "agent": address.agent, "user": address.user}
    return {key: value for key, value in parts.items() if value is not None}


def extracts(stored: Mapping[str, Any], inherited: Mapping[str, Any] | None = None) -> bool:
    """Whether facts are to be found in what this bank retains; in mode chunks there are none."""
    return str(resolve_settings(stored, inherited)["retain_extraction_mode"]) != "chunks"


def observes(stored: Mapping[str, Any], inherited: Mapping[str, Any] | None = None) -> bool:
    """Whether this bank consolidates by itself now."""
    settings = resolve_settings(stored, inherited)
    return bool(settings[OBSERVING]) and not settings[PAUSED]


def scoping_of(settings: Mapping[str, Any]) -> str:
    """How a bank's facts are scoped that say nothing of it; one that cannot be read is none."""
    try:
        return encode_scoping(settings[SCOPING]) or COMBINED
    except Unprocessable:
        return COMBINED


def overrides_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Settings this bank has of its own; a stored null counts as not set."""
    return {key: value for key, value in stored.items() if key not in {NAME, SCOPE} and value is not None}


def is_reranking(stored: Mapping[str, Any]) -> bool:
    """Whether late interaction ranks in a bank."""
    return bool(resolve_settings(stored)[RERANKING])


def resolve_settings(stored: Mapping[str, Any], inherited: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Every setting as it holds for this bank: its own, else its tenant's, else the deployment's, else the default.

    inherited: what the tenant and the deployment say, the tenant before the deployment.
    """
    return {**DEFAULTS, **(inherited or {}), **overrides_of(stored)}


def check_settings(given: Mapping[str, Any]) -> None:
    """See that a tenant's or a deployment's settings of banks can hold.

    Raises:
        ValueError: there is no such setting, or a trait is not 1 to 5.
    """
    for name, value in given.items():
        inheritable = DEFAULTS.keys() - {RERANKING}
        if name not in inheritable:
            raise ValueError(f"banks inherit no setting {name!r}, but {', '.join(sorted(inheritable))}")
        if name.startswith("disposition_") and value not in range(1, 6):
            raise ValueError(f"{name} = {value!r} must be 1 to 5")
        if name == RULES:
            try:
                read_rules(value)
            except Unprocessable as exc:
                raise ValueError(str(exc)) from exc
