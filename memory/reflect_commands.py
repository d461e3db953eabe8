"""Commands on what a bank reflects by: directives, mental models, stored reflections."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memory.mental_models import RefreshMode
from memory.records import Source


@dataclass(frozen=True, slots=True)
class PutDirective:
    """Create a directive, or change the fields in `changes`: name, content, priority, active, tags."""

    operation_id: str
    directive_id: str
    changes: Mapping[str, Any]
    create: bool = False


@dataclass(frozen=True, slots=True)
class DeleteDirective:
    """Remove a directive."""

    operation_id: str
    directive_id: str


@dataclass(frozen=True, slots=True)
class PutModel:
    """Create a mental model, whose first refresh is then pending under this operation id, or change fields of one.

    `changes` has name, source_query, tags, max_tokens, trigger; of a knowledge page folder_id, and once `page`.
    """

    operation_id: str
    model_id: str
    changes: Mapping[str, Any]
    create: bool = False


@dataclass(frozen=True, slots=True)
class DeleteModel:
    """Remove a mental model with its history."""

    operation_id: str
    model_id: str


@dataclass(frozen=True, slots=True)
class ClearModel:
    """Empty a mental model: its next refresh makes it anew."""

    operation_id: str
    model_id: str


@dataclass(frozen=True, slots=True)
class RefreshModel:
    """Have a mental model refreshed; mode None: as its trigger says."""

    operation_id: str
    model_id: str
    mode: RefreshMode | None = None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh made of a mental model. sources: all units that were looked at, by which it is retracted.

    changed: whether the content is another one. seen_seq: the bank's seq when its evidence was read.
    """

    content: str
    mode: RefreshMode
    sources: tuple[Source, ...]
    seen_seq: int
    answered: str
    changed: bool = True
    reflection: Mapping[str, Any] = field(default_factory=dict)
    tokens: int = 0
    """That the language model took for it."""


@dataclass(frozen=True, slots=True)
class NotRefreshed:
    """Why a refresh made nothing, and what it cost all the same."""

    reason: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class EndRefresh:
    """Command of the bank to itself: the refresh that was pending under `refresh` has ended, or could not be made."""

    operation_id: str
    model_id: str
    refresh: str
    result: Refreshed | NotRefreshed


@dataclass(frozen=True, slots=True)
class PutFolder:
    """Make a folder of knowledge pages, or change the fields in `changes`: name, parent_id."""

    operation_id: str
    folder_id: str
    changes: Mapping[str, Any]
    create: bool = False


@dataclass(frozen=True, slots=True)
class DeleteFolder:
    """Remove a folder with all folders and pages in it."""

    operation_id: str
    folder_id: str


@dataclass(frozen=True, slots=True)
class StoreReflection:
    """Keep an answer that was given. asked: fingerprint of the request; answer: what is shown beside the text.

    sources: all units that were looked at, by which it is retracted.
    """

    operation_id: str
    query: str
    text: str
    asked: str
    sources: tuple[Source, ...]
    tags: tuple[str, ...] = ()
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeleteReflection:
    """Remove a stored reflection."""

    operation_id: str
    reflection_id: str


@dataclass(frozen=True, slots=True)
class ClaimReflection:
    """Be the only one who answers what is to be stored under an id, for so long; `operation_id` tells who it is.

    asked: fingerprint of the request.
    """

    operation_id: str
    reflection_id: str
    asked: str
    lease_s: float


@dataclass(frozen=True, slots=True)
class ReleaseReflection:
    """Let others answer what `holder` claimed: it did not come to an answer."""

    operation_id: str
    reflection_id: str
    holder: str


@dataclass(frozen=True, slots=True)
class ReflectionClaim:
    """Whether a reflection was claimed; if not, it is stored already, or another one has claimed it."""

    granted: bool


DirectiveCommand = PutDirective | DeleteDirective
FolderCommand = PutFolder | DeleteFolder
ModelCommand = PutModel | DeleteModel | ClearModel | RefreshModel | EndRefresh | FolderCommand
ReflectionCommand = StoreReflection | DeleteReflection | ClaimReflection | ReleaseReflection
ReflectCommand = DirectiveCommand | ModelCommand | ReflectionCommand
