"""What a reflection's tools bring: nothing that is past its time, however it is asked for."""

from datetime import UTC, datetime, timedelta

from actors.reflect_tools import MemoryTools
from memory.records import Source, UnitKind
from memory.reflecting.port import Question, ToolCall
from memory.reflecting.tools import EXPAND
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM, fresh_scope, new_unit, put_live
from tests.support.local_store import LocalStore
from tests.support.loops import in_loop

NOW = datetime(2026, 3, 4, tzinfo=UTC)
SPENT, FRESH = NOW - timedelta(seconds=1), NOW + timedelta(days=1)


@in_loop
async def test_a_fact_past_its_time_is_not_brought_with_what_rests_on_it():
    scope, engine = fresh_scope(), ReferenceStore(DIM)
    spent, fresh = (
        new_unit(scope, text, kind=UnitKind.FACT, expires_at=until)
        for text, until in (("Ana is ill today", SPENT), ("Ana is at home", FRESH))
    )
    sources = tuple(Source(new.unit.id, 1, new.unit.content_hash) for new in (spent, fresh))
    drawn = new_unit(scope, "Ana stays at home when ill", kind=UnitKind.OBSERVATION, sources=sources)
    put_live(engine, scope, spent, fresh, drawn)

    async def recall(*_):
        raise AssertionError("nothing is searched for")

    tools = MemoryTools(scope, Question("How is Ana?"), LocalStore(engine), recall, (), NOW)
    found = await tools.use(ToolCall(EXPAND, ids=(drawn.unit.id,)))
    assert [piece.text for piece in found] == ["Ana is at home"]
