"""An engine with the one method of a storage shard that filling a bank needs."""

from typing import Any

from memory.ids import Scope
from storage.run import Engine, run


class EngineShard:
    """Runs requests over an engine in this thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def perform(self, scope: Scope, request: Any) -> Any:
        return run(self._engine, scope, request)
