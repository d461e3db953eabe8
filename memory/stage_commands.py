"""Commands of a bank to itself: attempts of stages begin and end, with what came of them."""

from dataclasses import dataclass, field

from memory.extraction.port import Usage
from memory.records import Record, Source, Unit


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage made of a document: units, and the units it made them from, as they were then.

    Units need an id of the bank's bucket, texts and sources; seq and epoch are the plan's. They are all that is to be
    of the document: those that stand stay, those that are missing here go; None leaves what there is. `windows` are the
    document's by now, by hash, `answers` the records of those that were not stored yet. Of a document that was read in
    part, `unread` are the units that no answer is about: what stands of those stays.
    """

    sources: tuple[Source, ...] = ()
    units: tuple[Unit, ...] | None = None
    windows: tuple[str, ...] = ()
    answers: tuple[Record, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BeginStage:
    """Command of the bank to itself: attempts of one stage start, for these documents under these seqs."""

    operation_id: str
    stage: str
    documents: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class StageEnd:
    """How an attempt for one document ended: with a result, or with a reason why there is none.

    `final`: another attempt would fail too; not `counted`: it says nothing of the document. A failure may have a result
    too, of the part that was read: it is applied, and its answers are kept for the next attempt.
    """

    document_id: str
    seq: int
    result: StageResult | None = None
    reason: str = ""
    final: bool = False
    counted: bool = True
    retry_after_s: float = 0.0
    usage: Usage = field(default_factory=Usage)
    """What a language model spent on the attempt."""


@dataclass(frozen=True, slots=True)
class EndStage:
    """Command of the bank to itself: attempts have ended."""

    operation_id: str
    stage: str
    ends: tuple[StageEnd, ...]


StageCommand = BeginStage | EndStage
