"""Every interleaving of several owners of one bank over one store, call by call or request by request.

A process depends on nothing but the answers it got, so equal stores with equal answers so far are visited once: what
would be millions of runs are some thousands of states.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from memory.errors import LorebankError, Stale
from memory.ids import Scope
from storage.reference_store import ReferenceStore
from storage.run import run
from tests.support.bank_process import BankProcess

START = 0


@dataclass(frozen=True)
class Step:
    """Where a process stands after its answers: what it wishes next (None: it has ended), what it acknowledged."""

    wish: Any
    acks: tuple[str, ...]
    fenced: bool


@dataclass(frozen=True)
class State:
    """One moment of one interleaving (of all that lead to it): `path` names who made each call so far, for messages."""

    store: ReferenceStore
    steps: tuple[Step, ...]
    path: str

    @property
    def acks(self) -> tuple[str, ...]:
        return tuple(ack for step in self.steps for ack in step.acks)


class _Automaton:
    """A process as a table: answers so far -> step, filled by running the process again from its start."""

    def __init__(self, make: Callable[[], BankProcess]) -> None:
        self._make = make
        self._answers: list[tuple[Any, ...]] = [()]
        self._numbers: dict[tuple[int, str], int] = {}
        self.steps: list[Step] = [self._run(())]

    def after(self, history: int, answer: Any) -> int:
        """Number of the history that goes on with an answer."""
        name = (history, repr(answer))
        if name not in self._numbers:
            answers = (*self._answers[history], answer)
            self._numbers[name] = len(self._answers)
            self._answers.append(answers)
            self.steps.append(self._run(answers))
        return self._numbers[name]

    def _run(self, answers: tuple[Any, ...]) -> Step:
        with self._make() as process:
            for answer in answers:
                process.answer(answer)
            error = process.error
            if error is not None and not isinstance(error, Stale):
                raise error
            return Step(process.wish, tuple(process.acks), fenced=error is not None)


def explore(store: ReferenceStore, scope: Scope, owners: Sequence[Callable[[], BankProcess]]) -> Iterator[State]:
    """Every reachable state, each once; also every crash of one or all owners, which is a state they never leave."""
    automata = [_Automaton(make) for make in owners]
    names = "ABCDEFGH"
    first = (START,) * len(owners)
    seen = {(fingerprint(store), first)}
    stack = [(store, first, "")]
    while stack:
        at, histories, path = stack.pop()
        steps = tuple(automaton.steps[history] for automaton, history in zip(automata, histories, strict=True))
        yield State(at, steps, path)
        for who, step in enumerate(steps):
            if step.wish is None:
                continue
            after = at.copy()
            try:
                answer = run(after, scope, step.wish)
            except LorebankError as exc:
                answer = exc
            moved = (*histories[:who], automata[who].after(histories[who], answer), *histories[who + 1 :])
            key = (fingerprint(after), moved)
            if key not in seen:
                seen.add(key)
                stack.append((after, moved, path + names[who]))


def fingerprint(store: ReferenceStore) -> bytes:
    """Equal for stores with equal contents."""
    return orjson.dumps(store.dump(), option=orjson.OPT_SORT_KEYS)
