import asyncio
from dataclasses import dataclass

import pytest

from memory.errors import Unavailable
from memory.ids import Scope
from memory.records import Head
from memory.store_calls import Batch, CreateHead, ReadHead
from storage.reference_store import ReferenceStore
from storage.run import run, run_async

SCOPE = Scope("t", "b")


class Failing:
    def call(self, scope, call):
        raise Unavailable("down")


class Asynchronous:
    def __init__(self, engine):
        self.engine = engine

    async def call(self, scope, call):
        await asyncio.sleep(0)
        return self.engine.call(scope, call)


def blocking(engine, scope, request):
    return run(engine, scope, request)


def asynchronous(engine, scope, request):
    return asyncio.run(run_async(Asynchronous(engine), scope, request))


@pytest.fixture(params=[blocking, asynchronous], ids=["blocking", "asynchronous"])
def drive(request):
    return request.param


@dataclass
class Careful:
    seen: list

    def steps(self):
        try:
            yield ReadHead()
        except Unavailable as exc:
            self.seen.append(exc)
        return "went on"


def test_a_call_is_performed_once(drive):
    assert drive(ReferenceStore(4), SCOPE, ReadHead()) is None


def test_a_procedure_receives_each_answer_and_gives_its_result(drive):
    batch = Batch((ReadHead(), CreateHead(Head(epoch=2)), ReadHead()))
    assert drive(ReferenceStore(4), SCOPE, batch) == [None, None, Head(epoch=2)]


def test_an_error_is_raised_inside_the_procedure_at_its_call(drive):
    careful = Careful([])
    assert drive(Failing(), SCOPE, careful) == "went on"
    assert len(careful.seen) == 1


def test_an_error_nobody_handles_comes_out(drive):
    with pytest.raises(Unavailable):
        drive(Failing(), SCOPE, Batch((ReadHead(),)))


def test_a_cancelled_caller_leaves_a_procedure_where_it_stands():
    class Slow:
        def __init__(self):
            self.calls, self.asked = 0, asyncio.Event()

        async def call(self, scope, call):
            self.calls += 1
            self.asked.set()
            await asyncio.Event().wait()

    async def give_up():
        engine = Slow()
        running = asyncio.ensure_future(run_async(engine, SCOPE, Batch((ReadHead(), ReadHead()))))
        await engine.asked.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return engine.calls

    assert asyncio.run(give_up()) == 1
