"""What recall shows of the facts under observations."""

from collections.abc import Sequence
from typing import Any

from actors.client import BankClient
from lorebank import wire
from memory.encoding import encode_unit
from memory.ids import Scope
from memory.recall import Ranked
from memory.records import Unit, UnitKind
from serve_app.core_to_wire import shared_fields


async def without_repeated(client: BankClient, bank: Scope, results: Sequence[Ranked]) -> tuple[Ranked, ...]:
    """Results without the facts that an observation among them rests on, and without what tells nothing else."""
    facts = await _facts_under(client, bank, [result for result in results if _is_observation(result)])
    if not facts:
        return tuple(results)
    cited = facts.keys()
    told = {source.unit_id for fact in facts.values() for source in fact.sources}
    kept: list[Ranked] = []
    for result in results:
        others = tuple(fact for fact in result.facts if fact.id not in cited)
        if result.id in cited or (result.id in told and not others):
            continue
        kept.append(result._replace(facts=others) if len(others) < len(result.facts) else result)
    return tuple(kept)


async def source_facts(
    client: BankClient, bank: Scope, results: Sequence[Ranked], asked: wire.SourceFactsIncludeOptions
) -> tuple[dict[str, Any], bool]:
    """Facts under the observations among the results, best first, within the tokens; and whether some were left out."""
    observed = [result for result in results if _is_observation(result)]
    found = await _facts_under(client, bank, observed)
    rows: dict[str, Any] = {}
    left, cut = asked.max_tokens, False
    for result in observed:
        own = asked.max_tokens_per_observation
        for fact in (found[id_] for id_ in reversed(facts_of(result)) if id_ in found and id_ not in rows):
            if fact.text_tokens > left or 0 <= own < fact.text_tokens:
                cut = True
                continue
            left, own = left - fact.text_tokens, own - fact.text_tokens if own >= 0 else own
            rows[fact.id] = shared_fields(fact.id, encode_unit(fact))
    return rows, cut


async def observation_history(client: BankClient, bank: Scope, unit_id: str) -> list[dict[str, Any]]:
    """What an observation said before, oldest first, with the facts that it rested on then."""
    found = await client.observing.find_history(bank, unit_id)
    versions = found.body["versions"] if found is not None else []
    ids = dict.fromkeys(fact for version in versions for fact in version["sources"])
    facts = await client.observing.get_facts(bank, tuple(ids))
    return [
        {
            "at": version["replaced_at"],
            "state": "valid",
            "text": version["text"],
            "changes": [version["change"]],
            "reason": None,
            "proof_count": version["proof_count"],
            "source_facts": [{"id": id_, "text": facts[id_].text} for id_ in version["sources"] if id_ in facts],
        }
        for version in versions
    ]


def facts_of(result: Ranked) -> list[str]:
    """Ids of what a result was made of, the earliest first."""
    return [source["unit_id"] for source in result.payload.get("sources", ())]


async def _facts_under(client: BankClient, bank: Scope, observed: Sequence[Ranked]) -> dict[str, Unit]:
    """Facts that observations rest on, of whichever bank they are."""
    wanted: dict[str, dict[str, None]] = {}
    for result in observed:
        wanted.setdefault(result.bank or bank.bank, {}).update(dict.fromkeys(facts_of(result)))
    found: dict[str, Unit] = {}
    for name, ids in wanted.items():
        found |= await client.observing.get_facts(Scope(bank.tenant, name), tuple(ids))
    return found


def _is_observation(result: Ranked) -> bool:
    return bool(result.payload["kind"] == UnitKind.OBSERVATION)
