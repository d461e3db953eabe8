from dataclasses import replace

import pytest

from memory.ids import bucket_of_id
from memory.store_calls import CountValues, FindLive, GetDense, GetUnits, Lane, ListUnits, SearchLanes
from storage.operation_marks import COUNTER_ID, Count, Marks, MarksFile
from tests.support.builders import dense, fresh_scope, put_texts

MARKS = Marks(1, Count(10, 7, 300), Count(12, 9, 40))


def test_the_file_gives_back_the_last_marks(tmp_path):
    file = MarksFile(tmp_path / "operations")
    assert file.read() is None
    for number in range(1, 6):
        file.write(replace(MARKS, number=number))
    file.sync()
    assert file.read() == replace(MARKS, number=5)
    file.close()
    again = MarksFile(tmp_path / "operations")
    assert again.read() == replace(MARKS, number=5)
    again.close()


@pytest.mark.parametrize("at", [0, 8, 40, 56, 59])
def test_a_write_that_was_cut_short_leaves_the_marks_before_it(tmp_path, at):
    path = tmp_path / "operations"
    file = MarksFile(path)
    file.write(MARKS)
    file.write(replace(MARKS, number=2, units=Count(11, 7, 301)))
    file.close()
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF  # the second is in the first slot
    path.write_bytes(content)
    torn = MarksFile(path)
    assert torn.read() == MARKS
    torn.close()


def test_a_file_of_another_length_counts_as_empty(tmp_path):
    (tmp_path / "operations").write_bytes(b"short")
    file = MarksFile(tmp_path / "operations")
    assert file.read() is None
    file.close()


def test_no_read_shows_the_counter(edge):
    scope = fresh_scope()
    put_texts(edge, scope, ["a word"])
    edge.count_operation()
    assert edge.call(scope, GetUnits((COUNTER_ID,))) == {}
    assert edge.call(scope, GetDense((COUNTER_ID,))) == {}
    assert edge.call(scope, FindLive((COUNTER_ID,))) == frozenset()
    assert edge.call(scope, ListUnits(10)).total == 1
    assert edge.call(scope, CountValues("type", 10)) == {"world": 1}
    lanes = edge.call(scope, SearchLanes((Lane(10, dense=dense("a word")), Lane(10, lexical="word"))))
    assert all(COUNTER_ID not in lane.ids for lane in lanes)
    for tenant in ("", scope.tenant):
        assert edge.find_unit(tenant, COUNTER_ID) is None
        assert all(COUNTER_ID not in bank for bank, _ in edge.list_heads(tenant, 100, 0).banks)
    with pytest.raises(ValueError, match="version"):
        bucket_of_id(COUNTER_ID)
