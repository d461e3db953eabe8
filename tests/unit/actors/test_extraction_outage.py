"""An extractor that is away as a whole costs no document an attempt."""

from memory.extraction.port import Extracted, NotExtracted
from memory.records import RecordKind
from memory.stages import decode_work
from memory.store_calls import GetRecords
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM
from tests.support.extracting import ExtractingOwner
from tests.support.loops import in_loop
from tests.unit.actors.test_extraction import ana

AWAY_S = 10_000.0


class Outage:
    """Does not answer until it is back."""

    name = "model"

    def __init__(self) -> None:
        self.away = True

    async def extract(self, requests):
        if self.away:
            return [NotExtracted(one.window, "it does not answer", True, AWAY_S, True) for one in requests]
        return [Extracted(one.window, (), self.name) for one in requests]


@in_loop
async def test_a_document_outlives_any_outage_of_its_extractor():
    bank = ExtractingOwner(ReferenceStore(DIM), Outage())
    await bank.tell(ana("I live in Paris."))

    def work():
        return decode_work(bank.read(GetRecords(RecordKind.STAGES, ("d",)))["d"])

    for _ in range(20):
        assert (work().next, work().attempts, work().reason) == ("extract", 0, "it does not answer")
        bank.clock.pass_by(AWAY_S + 1)
        await bank.bank.settle()
        await bank.bank.stages.rest()
    bank.extractor.away = False
    bank.clock.pass_by(AWAY_S + 1)
    await bank.bank.settle()
    await bank.bank.stages.rest()
    assert work().line == "done"
    bank.check()
