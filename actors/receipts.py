"""What a bank answers its commands with."""

from actors.bank_sessions import SessionReceipt
from memory.commands import DeleteReceipt, OperationReceipt, RepairReceipt, RetainReceipt
from memory.consolidating.commands import Batch, ConsolidationReceipt
from memory.directives import Directive
from memory.known_facts import EntityPage
from memory.mental_models import MentalModel
from memory.records import Head
from memory.reflect_commands import ReflectionClaim
from memory.reflections import StoredReflection
from memory.restore_commands import MovingReceipt

Receipt = (
    RetainReceipt
    | DeleteReceipt
    | RepairReceipt
    | SessionReceipt
    | OperationReceipt
    | EntityPage
    | Head
    | Directive
    | MentalModel
    | Batch
    | ConsolidationReceipt
    | MovingReceipt
    | StoredReflection
    | ReflectionClaim
)
