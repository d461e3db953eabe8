"""Vector spaces of a store: the model it has, another that is written beside it, and which one is asked.

Vectors of two models never mix: each space has vectors of its own on every unit, and a query names the space of its
own. Which spaces are written, and which one queries use, is one record; changing it is a compare-and-set, made of the
guard that records have (memory.addresses says how).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from memory.addresses import LOTS
from memory.errors import Conflict, Unprocessable
from memory.ids import digest
from memory.records import Record, RecordKind

SPACES_KEY = "spaces"
MADE_WITH = ""
"""Key of the space that a store was made with."""


@dataclass(frozen=True, slots=True)
class Model:
    """What makes the vectors of a space; `settings` ask for it, where they differ from the deployment's own."""

    space: str
    embedder: str
    dim: int
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spaces:
    """Which models' vectors are written (none named: the deployment's alone), and whose are asked for."""

    version: int = 0
    active: str = MADE_WITH
    models: tuple[Model, ...] = ()

    @property
    def written(self) -> tuple[str, ...]:
        """Keys of the spaces that each new unit has vectors of, the active one first."""
        others = tuple(model.space for model in self.models if model.space != self.active)
        return (self.active, *others)

    def model(self, space: str) -> Model | None:
        """The model of a space; None: the deployment's settings say which."""
        return next((model for model in self.models if model.space == space), None)

    @property
    def first(self) -> Model | None:
        """Of two models the one that was there before the other; None: there are not two."""
        return self.models[0] if len(self.models) > 1 else None

    @property
    def beside(self) -> Model:
        """The model that is written and not asked.

        Raises:
            Unprocessable: there is none.
        """
        for model in self.models:
            if model.space != self.active:
                return model
        raise Unprocessable("vectors of one model alone are stored: `lorebank reembed` begins with another")

    def with_beside(self, made: Model, other: Model) -> "Spaces":
        """Both models written; the one that is active stays so. `made`: what the deployment uses now.

        Raises:
            Conflict: another model is being written beside it already.
        """
        if self.first is None:
            return replace(self, models=(replace(made, space=self.active), other))
        if other.space not in {model.space for model in self.models}:
            raise Conflict(
                f"vectors of {self.beside.embedder} are written already: use them with --switch, or --abandon them"
            )
        return self

    def switched(self) -> "Spaces":
        """The other model is asked from now on."""
        return replace(self, active=self.beside.space)

    def abandoned(self) -> "Spaces":
        """Vectors of the first model alone are written.

        Raises:
            Conflict: the other one is asked.
        """
        if self.first is not None and self.active != self.first.space:
            raise Conflict("the other model is the one that is asked: --rollback first")
        return replace(self, models=tuple(model for model in self.models[:1] if model.space != MADE_WITH))

    def settled(self) -> "Spaces":
        """Vectors of the model that is asked alone are written: there is no way back any more.

        Raises:
            Conflict: the other one was never switched to.
        """
        if self.first is not None and self.active == self.first.space:
            raise Conflict(f"{self.beside.embedder} is written beside and not asked: --switch, or --abandon first")
        return replace(self, models=tuple(model for model in self.models if model.space == self.active))


@dataclass(frozen=True, slots=True)
class FillPage:
    """Give some of a bank's units, from an id on, the vectors they lack of a space."""

    space: str
    limit: int
    start: str | None = None


@dataclass(frozen=True, slots=True)
class Filled:
    """How many units a page looked at and how many of them it embedded, and where to go on; None after the last."""

    looked_at: int
    embedded: int
    following: str | None


def space_key(embedder: str, dim: int) -> str:
    """Key of a space, the same wherever it is made."""
    return digest("space", embedder, str(dim)).hex()[:12]


def spaces_of(record: Record | None) -> Spaces:
    """What a record says; of none, that nothing was ever changed."""
    if record is None:
        return Spaces()
    models = tuple(Model(m["space"], m["embedder"], m["dim"], m["settings"]) for m in record.body["models"])
    return Spaces(record.seq // LOTS, record.body["active"], models)


def next_spaces(before: Spaces, wanted: Spaces, lot: int) -> Record:
    """The record that follows `before`, if no other does.

    lot: drawn at random, from 1 up to LOTS - 1.
    """
    base = (before.version + 1) * LOTS
    models = [
        {"space": m.space, "embedder": m.embedder, "dim": m.dim, "settings": dict(m.settings)} for m in wanted.models
    ]
    body = {"active": wanted.active, "models": models}
    return Record(RecordKind.SPACES, SPACES_KEY, body, seq=base + lot, epoch=base + LOTS - lot)
