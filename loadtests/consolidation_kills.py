"""A bank that is consolidated while its host is killed again and again, and then anew, left alone."""

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

BANK = "killed"
BATCH_FACTS = 16
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
    """Drain a bank whose host is killed whenever another part of it is done; clear it, and drain it undisturbed.

    The same bank twice: which facts are nearest to each other may differ between banks, where ids break ties.

    Raises:
        LoadError: a request failed, or something did not end.
    """
    slow = {"LOREBANK_CONSOLIDATE_FACTS": str(BATCH_FACTS), "LOREBANK_CONSOLIDATE_PAUSE_S": str(PAUSE_S)}
    with tempfile.TemporaryDirectory(prefix="lorebank.kills.") as folder:
        command = up_command(free_port(), Path(folder) / "data")
        with OwnServer(command, on_line=lambda _: None, environment={**environment, **slow}) as server:
            tell(server.url, BANK, facts)
            with Client(server.url) as client:
                came = _drain(server, client, BANK, kills)
                killed = scan(client, BANK)
                client.observations.clear(BANK)
                consolidate(client, BANK)
                alone = scan(client, BANK)
    is_same = alone.observations == killed.observations and not killed.orphans
    return Killed(came, facts, len(killed.observations), is_same)


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
