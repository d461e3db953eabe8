"""What moves banks in and out, and lets go: restores of exports, and sweeps by rules of retention."""

from typing import Protocol

from memory.commands import Command
from memory.ids import Scope
from memory.restore_commands import RestoreCommand, RestoreReceipt, RetentionReceipt, SweepPast


class Owners(Protocol):
    """What of a deployment is used here."""

    async def command(self, scope: Scope, command: Command) -> object:
        """Have the bank's owner do a command."""


class MovingClient:
    """Part of the door to the actors: BankClient.moving. Raises what BankClient's methods raise."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners

    async def restore(self, scope: Scope, command: RestoreCommand) -> RestoreReceipt:
        """Begin a restore, or write a slice of it; sent again, it writes what is not there.

        Raises:
            Conflict: the operation id was used for another command.
        """
        receipt = await self._owners.command(scope, command)
        assert isinstance(receipt, RestoreReceipt)
        return receipt

    async def sweep_past(self, scope: Scope, command: SweepPast) -> RetentionReceipt:
        """Let go of a slice of what is past its time; again while the receipt says that there is more."""
        receipt = await self._owners.command(scope, command)
        assert isinstance(receipt, RetentionReceipt)
        return receipt
