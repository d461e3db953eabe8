"""A store whose units survive a power loss only as they were flushed; its records are always on disk."""

from typing import Any, Self

from memory.healing import Reopen
from memory.ids import Scope
from memory.store_calls import ForgetText
from storage.reference_store import ReferenceStore
from storage.run import run


class VolatileStore(ReferenceStore):
    """The reference store with the embedded engine's rule of forgetting: after the next flush, in order."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self._queue: list[tuple[Scope, ForgetText]] = []
        self._flushed: tuple[dict[str, Any], dict[str, Any]] = ({}, {})

    def call(self, scope: Scope, call: Any) -> Any:
        if isinstance(call, ForgetText):
            self._queue.append((scope, call))
            return None
        return super().call(scope, call)

    def flush(self) -> None:
        self._flushed = (dict(self._units), dict(self._vectors))
        for scope, call in self._queue:
            super().call(scope, call)
        self._queue.clear()

    def copy(self) -> Self:
        twin = super().copy()
        twin._queue = list(self._queue)
        return twin

    def lose_units(self, scope: Scope) -> None:
        """The power goes; when it is back, the store finds its units short and hands the bank to its next owner."""
        self._units, self._vectors = dict(self._flushed[0]), dict(self._flushed[1])
        self._queue.clear()
        run(self, scope, Reopen("reopened", units_lost=True))

    def texts(self) -> str:
        """Everything that the records hold."""
        return repr(self.dump()[1])


class HastyStore(VolatileStore):
    """Breaks the rule: lets go of texts while their units can still be lost."""

    def call(self, scope: Scope, call: Any) -> Any:
        return ReferenceStore.call(self, scope, call)
