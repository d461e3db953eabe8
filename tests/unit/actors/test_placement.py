from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from actors import placement
from actors.placement import RING_KEY, Ring, ensure_ring, host_name, load_ring, owner_of
from memory.ids import SYSTEM, Scope
from memory.records import Record, RecordKind
from memory.store_calls import GetRecords, WriteRecords
from storage.reference_store import ReferenceStore
from tests.support.builders import DIM
from tests.support.local_store import LocalStore
from tests.support.loops import in_loop

BANKS = [Scope("tenant", f"bank-{number}") for number in range(1500)]


def ring(count: int, **pins: str) -> Ring:
    return Ring(1, tuple(host_name(number) for number in range(count)), pins)


def owners(of: Ring) -> dict[Scope, str]:
    return {bank: owner_of(of, bank) for bank in BANKS}


@given(st.integers(1, 12))
def test_a_new_host_takes_its_share_and_no_bank_moves_between_old_ones(count: int):
    before, after = owners(ring(count)), owners(ring(count + 1))
    moved = [bank for bank in BANKS if before[bank] != after[bank]]
    assert {after[bank] for bank in moved} <= {host_name(count)}
    share = len(BANKS) / (count + 1)
    assert 0.75 * share < len(moved) < 1.3 * share


@settings(max_examples=20)
@given(st.integers(2, 12), st.data())
def test_a_host_that_goes_moves_only_its_own_banks(count: int, data):
    whole = ring(count)
    gone = data.draw(st.sampled_from(whole.hosts))
    before = owners(whole)
    after = owners(Ring(2, tuple(host for host in whole.hosts if host != gone)))
    assert all(after[bank] == before[bank] for bank in BANKS if before[bank] != gone)
    assert gone not in after.values()


@given(st.integers(1, 12), st.randoms())
def test_the_order_of_hosts_does_not_matter(count: int, shuffler):
    whole = ring(count)
    shuffled = list(whole.hosts)
    shuffler.shuffle(shuffled)
    assert all(owner_of(Ring(1, tuple(shuffled)), bank) == owner_of(whole, bank) for bank in BANKS[:100])


def test_banks_are_spread_evenly():
    counts = Counter(owners(ring(4)).values())
    assert len(counts) == 4
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_a_pinned_bank_is_with_its_host_and_the_others_stay():
    bank = BANKS[0]
    free = owner_of(ring(3), bank)
    other = next(host for host in ring(3).hosts if host != free)
    pinned = Ring(1, ring(3).hosts, {bank.key: other})
    assert owner_of(pinned, bank) == other
    assert all(owner_of(pinned, near) == owner_of(ring(3), near) for near in BANKS[1:50])


def test_a_pin_to_a_host_that_is_gone_does_not_count():
    bank = BANKS[0]
    assert owner_of(Ring(1, ring(2).hosts, {bank.key: "bank-host-9"}), bank) == owner_of(ring(2), bank)


def test_tenants_with_banks_of_one_name_are_placed_independently():
    same = [owner_of(ring(8), Scope(f"tenant-{n}", "memory")) for n in range(200)]
    assert len(set(same)) == 8


# -- the stored ring


@in_loop
async def test_a_ring_is_made_at_the_first_start_and_kept_at_the_next():
    store = LocalStore(ReferenceStore(DIM))
    assert await load_ring(store) is None
    first = await ensure_ring(store, ("a", "b"))
    assert (first.version, first.hosts, dict(first.pins)) == (1, ("a", "b"), {})
    assert await ensure_ring(store, ("a", "b")) == first
    assert await load_ring(store) == first


@in_loop
async def test_other_hosts_make_a_new_version_without_pins_to_those_that_are_gone():
    store = LocalStore(ReferenceStore(DIM))
    await ensure_ring(store, ("a", "b"))
    pinned = Ring(2, ("a", "b"), {"1:t/x": "a", "1:t/y": "b"})
    record = Record(RecordKind.RING, RING_KEY, placement._encode(pinned), seq=2)
    await store.perform(SYSTEM, WriteRecords((record,)))
    changed = await ensure_ring(store, ("b", "c"))
    assert (changed.version, changed.hosts, dict(changed.pins)) == (3, ("b", "c"), {"1:t/y": "b"})


@in_loop
async def test_an_older_version_never_replaces_a_newer_ring():
    store = LocalStore(ReferenceStore(DIM))
    for hosts in (("a",), ("a", "b"), ("a",)):
        await ensure_ring(store, hosts)
    found = await store.perform(SYSTEM, GetRecords(RecordKind.RING, (RING_KEY,)))
    assert found[RING_KEY].seq == found[RING_KEY].body["version"] == 3
