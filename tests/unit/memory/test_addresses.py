from hypothesis import given
from hypothesis import strategies as st

from memory.addresses import LOTS, Address, Holding, holding_of, is_same, next_holding
from memory.ids import SYSTEM
from memory.records import RecordKind
from memory.store_calls import GetRecords, WriteRecords
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM

NAMES = st.none() | st.text(min_size=1, max_size=3)
KEY = "k"


def stands(engine):
    return engine.call(SYSTEM, GetRecords(RecordKind.ADDRESS, (KEY,))).get(KEY)


@given(
    st.lists(st.integers(1, LOTS - 1), min_size=2, max_size=5, unique=True),
    st.lists(st.integers(0, 4), max_size=12),
    st.integers(0, 3),
)
def test_of_those_that_follow_one_holding_exactly_one_stands(lots, late, versions):
    engine = ReferenceStore(DIM)
    for version in range(versions):
        before = Holding(f"before-{version}", version)
        engine.call(SYSTEM, WriteRecords((next_holding(KEY, f"before-{version + 1}", before, 1 + version),)))
    seen = holding_of(stands(engine))
    written = [next_holding(KEY, f"bank-{number}", seen, lot) for number, lot in enumerate(lots)]
    won = []
    for record in written:
        engine.call(SYSTEM, WriteRecords((record,)))
        won += [record] if is_same(stands(engine), record) else []
    assert [record.key for record in won] == [KEY]
    for number in late:  # a write that comes twice, or late, changes nothing
        engine.call(SYSTEM, WriteRecords((written[number % len(written)],)))
        assert is_same(stands(engine), won[0])
    assert holding_of(stands(engine)) == Holding(won[0].body["bank"], seen.version + 1)
    after = next_holding(KEY, None, holding_of(stands(engine)), LOTS - 1)
    engine.call(SYSTEM, WriteRecords((after, *written)))
    assert is_same(stands(engine), after)


@given(st.tuples(st.text(max_size=3), st.text(min_size=1, max_size=3), NAMES, NAMES), st.data())
def test_no_two_addresses_have_one_key(first, data):
    second = data.draw(st.tuples(st.text(max_size=3), st.text(min_size=1, max_size=3), NAMES, NAMES))
    keys = [Address(host, agent, user).key(tenant) for tenant, host, agent, user in (first, second)]
    assert (keys[0] == keys[1]) == (first == second)


def test_the_nearest_tier_comes_first():
    assert Address("h", "a", "u").tiers() == (
        Address("h", "a", "u"),
        Address("h", user="u"),
        Address("h", "a"),
        Address("h"),
    )
    assert Address("h", user="u").tiers() == (Address("h", user="u"), Address("h"))
    assert Address("h").tiers() == (Address("h"),)
