"""A bank that is consolidated while its host is killed again and again, compared with one that is left alone."""

import os
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from loadtests.observed_banks import consolidate, scan, tell, wait_until
from loadtests.server_memory import pids_of_role
from lorebank import Client
from lorebank.own_server import OwnServer, free_port, up_command

BATCH_FACTS = 32
PAUSE_S = 0.3
"""Between two batches, so that kills come while something is left."""


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of it. kills: those that came while facts waited."""

    kills: int
    facts: int
    observations: int
    is_same: bool

    @property
    def said(self) -> str:
        """In words."""
        same = "the same observations as" if self.is_same else "OTHER observations than"
        return (
            f"{self.facts} facts, {self.kills} kills of the host: {self.observations} observations, {same} undisturbed"
        )


def drain_under_kills(facts: int, kills: int, environment: Mapping[str, str]) -> Killed:
    """Drain two banks that were told the same; kill the host of the second whenever another part of it is done.

    Raises:
        LoadError: a request failed, or something did not end.
    """
    slow = {"LOREBANK_CONSOLIDATE_FACTS": str(BATCH_FACTS), "LOREBANK_CONSOLIDATE_PAUSE_S": str(PAUSE_S)}
    with tempfile.TemporaryDirectory(prefix="lorebank.kills.") as folder:
        command = up_command(free_port(), Path(folder) / "data")
        with OwnServer(command, on_line=lambda _: None, environment={**environment, **slow}) as server:
            for bank_id in ("alone", "killed"):
                tell(server.url, bank_id, facts)
            with Client(server.url) as client:
                consolidate(client, "alone")
                came = _drain(server, client, "killed", kills)
                alone, killed = scan(client, "alone"), scan(client, "killed")
    return Killed(came, facts, len(killed.observations), alone.evidence == killed.evidence and not killed.orphans)


def _drain(server: OwnServer, client: Client, bank_id: str, kills: int) -> int:
    """The kills that came before the end."""
    came = whole = 0
    for number in range(1, kills + 1):
        # Asked again, the next owner begins at once rather than when the lease of the one before it is over.
        wait_until(lambda: bool(client.observations.consolidate(bank_id).operation_id), "asking")
        whole = whole or client.stats(bank_id).pending_consolidation
        least = whole * (kills + 1 - number) // (kills + 1)
        wait_until(partial(_is_so_far, client, bank_id, least), "consolidation")
        came += client.stats(bank_id).pending_consolidation > 0
        for pid in pids_of_role(server.pid, "bank hosts"):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: consolidate(client, bank_id) >= 0, "consolidation after kills")
    return came


def _is_so_far(client: Client, bank_id: str, least: int) -> bool:
    return client.stats(bank_id).pending_consolidation <= least
