from dataclasses import dataclass

import pytest

from memory.errors import Unavailable
from memory.ids import Scope
from memory.records import Head
from memory.store_calls import Batch, CreateHead, ReadHead
from storage.reference_store import ReferenceStore
from storage.run import run

SCOPE = Scope("t", "b")


class Failing:
    def call(self, scope, call):
        raise Unavailable("down")


@dataclass
class Careful:
    seen: list

    def steps(self):
        try:
            yield ReadHead()
        except Unavailable as exc:
            self.seen.append(exc)
        return "went on"


def test_a_call_is_performed_once():
    assert run(ReferenceStore(4), SCOPE, ReadHead()) is None


def test_a_procedure_receives_each_answer_and_gives_its_result():
    batch = Batch((ReadHead(), CreateHead(Head(epoch=2)), ReadHead()))
    assert run(ReferenceStore(4), SCOPE, batch) == [None, None, Head(epoch=2)]


def test_an_error_is_raised_inside_the_procedure_at_its_call():
    careful = Careful([])
    assert run(Failing(), SCOPE, careful) == "went on"
    assert len(careful.seen) == 1


def test_an_error_nobody_handles_comes_out():
    with pytest.raises(Unavailable):
        run(Failing(), SCOPE, Batch((ReadHead(),)))
