"""Commands that restore what an export holds: units and records as they were, under the ids of their new bank."""

from dataclasses import dataclass
from datetime import datetime

from memory.ids import digest
from memory.records import Record, Unit


@dataclass(frozen=True, slots=True)
class BeginRestore:
    """Make room for what a bank held up to `seqs`, its highest sequence number: units keep their order under new ones.

    origin tells one exported bank from another; sent again under its operation id, the answer is the same.
    incomplete_before: as of an earlier time, what was told then may be gone.
    """

    operation_id: str
    origin: str
    seqs: int
    created_at: datetime | None = None
    incomplete_before: datetime | None = None

    def fingerprint(self) -> str:
        """Tells a retry from another command."""
        return digest(self.origin, str(self.seqs)).hex()


@dataclass(frozen=True, slots=True)
class RestoredDocument:
    """A document with what was derived from it alone.

    records: its own first, then its stage work, the answers for its windows, the session that still adds to it; units:
    its chunks and facts.
    """

    records: tuple[Record, ...]
    units: tuple[Unit, ...]

    @property
    def id(self) -> str:
        """The document's id."""
        return self.records[0].key


@dataclass(frozen=True, slots=True)
class RestoreSlice:
    """Some of a bank, to be written by one plan: what is there already is left as it is.

    Units say their own seq, none above that of the bank's head. units: derived ones without a document.
    """

    operation_id: str
    documents: tuple[RestoredDocument, ...] = ()
    units: tuple[Unit, ...] = ()
    records: tuple[Record, ...] = ()

    def texts(self) -> list[str]:
        """Every text in it, for who counts what it takes."""
        return [unit.text for unit in self.all_units()]

    def all_units(self) -> tuple[Unit, ...]:
        """Units of documents, then those without."""
        return (*(unit for document in self.documents for unit in document.units), *self.units)


RestoreCommand = BeginRestore | RestoreSlice


@dataclass(frozen=True, slots=True)
class SweepPast:
    """Let go of a slice of what the bank's rules of retention were past at an instant, up to a seq."""

    operation_id: str
    now: datetime
    until_seq: int | None = None


@dataclass(frozen=True, slots=True)
class RetentionReceipt:
    """What went: documents as a whole, chunks (those of such documents too), derived units; `more`: not all of it."""

    operation_id: str
    documents: int = 0
    chunks: int = 0
    derived: int = 0
    more: bool = False


MovingCommand = RestoreCommand | SweepPast


@dataclass(frozen=True, slots=True)
class RestoreReceipt:
    """What became of a slice, or (base, seq) of a beginning: the restored bank's seqs follow on `base`.

    different: documents that the bank has with another content, which were left as they are; dropped: derived units
    whose sources are not there.
    """

    operation_id: str
    seq: int
    base: int = 0
    documents: int = 0
    there: int = 0
    different: tuple[str, ...] = ()
    chunks: int = 0
    derived: int = 0
    dropped: int = 0
    records: int = 0
    tokens: int = 0


MovingReceipt = RestoreReceipt | RetentionReceipt
