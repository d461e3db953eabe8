"""Measures what observations by rules change in recall: `python -m loadtests.observations FILE.ndjson --own-server`.

Every question is asked of banks with facts, then of the same banks once they are consolidated. Differences by category
come with a 95 % interval of a paired bootstrap over the questions. An observation names no turn itself: the first table
has it take a place and bring nothing, the second has it bring the turns of the facts that it rests on.
"""

import uuid
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from loadtests.arguments import ConversationsArgument, LimitConversationsOption, OwnServerOption, UrlOption
from loadtests.dialogue import dia_ids_in, read_conversations
from loadtests.entry import start
from loadtests.facts import CLIENTS, compare, count_facts, differences_table
from loadtests.floors import RecallFloor, product_embedder
from loadtests.locomo_report import report_console
from loadtests.locomo_traffic import BankPlan, RecallRun, line_of, recall_body, retain_all, wait_for_facts
from loadtests.observed_banks import PAGE, consolidate
from loadtests.own_server import server_at
from loadtests.scoring import Hit, Ranking, price_tokens, score
from loadtests.timed_connection import LoadError, TimedConnection, recall_path
from lorebank import DEFAULT_URL, Client, wire

Turns = Mapping[str, tuple[str, ...]]
"""By id of an observation, the turns of its facts."""


def main(
    file: ConversationsArgument,
    *,
    url: UrlOption = DEFAULT_URL,
    own_server: OwnServerOption = False,
    limit_conversations: LimitConversationsOption = None,
) -> None:
    """Ask every question of banks with facts, and again once their observations are made."""
    conversations = read_conversations(file, limit=limit_conversations, captions=False)
    floor = RecallFloor(product_embedder(), np.zeros((1, 1), dtype=np.float32))
    run_id = uuid.uuid4().hex[:8]
    plans = [BankPlan(f"observed-{run_id}-{one.conversation_id}", one, floor) for one in conversations]
    console, turns = report_console(), dict[str, tuple[str, ...]]()
    with server_at(None if own_server else url) as address, Client(address) as client:
        client.ready()
        try:
            for plan in plans:
                client.put_bank(plan.bank_id, retain_extraction_mode="concise")
            retain_all(address, plans, CLIENTS, lambda: None)
            wait_for_facts(client, [plan.bank_id for plan in plans])
            facts = count_facts(client, plans)
            before = _recall(address, plans, {})
            made = sum(consolidate(client, plan.bank_id) for plan in plans)
            for plan in plans:
                turns |= _turns_of(client, plan.bank_id)
            bare, through = _recall(address, plans, {}), _recall(address, plans, turns)
        finally:
            for plan in plans:
                client.delete_bank(plan.bank_id)
    console.print(f"{made} observations of {facts} facts; in the results of {through.with_observation} questions")
    console.print(differences_table("observations name no turn", partial(compare, before.run, bare.run)))
    console.print(differences_table("observations bring their facts' turns", partial(compare, before.run, through.run)))


class _Asked:
    """Scores of all questions, and in how many of them an observation was among the results."""

    def __init__(self) -> None:
        self.run = RecallRun()
        self.with_observation = 0


def _recall(url: str, plans: Sequence[BankPlan], turns: Turns) -> _Asked:
    asked = _Asked()
    with TimedConnection(url) as connection:
        for plan in plans:
            for question in plan.conversation.questions:
                answer = connection.post_ok(recall_path(plan.bank_id), recall_body(question), wait_s=60.0)
                found = wire.RecallResponse.model_validate_json(answer.body)
                asked.with_observation += any(result.type == "observation" for result in found.results)
                asked.run.scored.append((question.category, score(_ranking(found, turns), question.evidence)))
    return asked


def _ranking(found: wire.RecallResponse, turns: Turns) -> Ranking:
    return [
        Hit(
            turns.get(result.id) or dia_ids_in((result.metadata or {}).get("dia_id", "")),
            price_tokens(line_of(None, result.speaker, result.text)),
        )
        for result in found.results
    ]


def _turns_of(client: Client, bank_id: str) -> dict[str, tuple[str, ...]]:
    """For each observation of a bank the turns that its facts were found in.

    Raises:
        LoadError: none of them can be told.
    """
    rows: dict[str, wire.MemoryUnitListItem] = {}
    observed: list[str] = []
    for type_ in ("world", "experience", "observation"):
        seen, total = 0, 1
        while seen < total:
            page = client.list_memories(bank_id, type=type_, limit=PAGE, offset=seen)
            rows |= {row.id: row for row in page.items}
            observed += [row.id for row in page.items if type_ == "observation"]
            seen, total = seen + PAGE, page.total

    def turns(id_: str) -> list[str]:
        row = rows.get(id_)
        if row is None:
            return []
        named = dia_ids_in((row.metadata or {}).get("dia_id", ""))
        return [*named] if named else [one for source in row.source_memory_ids or () for one in turns(source)]

    found = {id_: tuple(dict.fromkeys(turns(id_))) for id_ in observed}
    if observed and not any(found.values()):
        raise LoadError("no observation leads to a turn")
    return found


if __name__ == "__main__":
    start(main)
