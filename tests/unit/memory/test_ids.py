import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.ids import (
    BUCKETS,
    SHARD_KEYS,
    SYSTEM,
    Scope,
    bucket_of_id,
    digest,
    point_id,
    record_id,
    shard_key_of,
    unit_id,
)

NAME = st.text(max_size=12)
PARTS = st.lists(NAME, max_size=4)


@given(NAME, NAME, PARTS)
def test_every_id_is_a_canonical_uuid_of_version_8(tenant: str, bank: str, parts: list[str]):
    made = point_id(Scope(tenant, bank), *parts)
    value = uuid.UUID(made)
    assert str(value) == made
    assert value.version == 8
    assert value.variant == uuid.RFC_4122


@given(NAME, NAME, PARTS)
def test_an_id_tells_the_bucket_of_its_bank(tenant: str, bank: str, parts: list[str]):
    scope = Scope(tenant, bank)
    assert bucket_of_id(point_id(scope, *parts)) == scope.bucket
    assert 0 <= scope.bucket < BUCKETS


@given(NAME, NAME, NAME, PARTS)
def test_two_tenants_with_everything_else_equal_share_no_id(one: str, other: str, bank: str, parts: list[str]):
    if one != other:
        assert point_id(Scope(one, bank), *parts) != point_id(Scope(other, bank), *parts)
        assert Scope(one, bank).key != Scope(other, bank).key


@given(NAME, NAME, NAME, NAME)
def test_banks_have_equal_keys_only_where_tenant_and_bank_are_equal(t1: str, b1: str, t2: str, b2: str):
    assert (Scope(t1, b1).key == Scope(t2, b2).key) == ((t1, b1) == (t2, b2))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("ab", "c"), ("a", "bc")),
        (("a", ""), ("a",)),
        (("", "a"), ("a", "")),
        (("a\x00", "b"), ("a", "\x00b")),
        (("1:a",), ("1", ":a")),
    ],
)
def test_the_same_letters_cut_elsewhere_give_another_digest(one, other):
    assert digest(*one) != digest(*other)
    assert point_id(Scope("t", "b"), *one) != point_id(Scope("t", "b"), *other)


@given(PARTS, PARTS)
def test_digests_are_equal_only_for_equal_parts(one: list[str], other: list[str]):
    assert (digest(*one) == digest(*other)) == (one == other)


def test_a_text_and_its_bytes_have_one_digest():
    assert digest("grüße") == digest("grüße".encode())


def test_a_lone_surrogate_has_a_digest():
    assert len(digest("\ud800")) == 32


def test_a_slash_in_a_name_does_not_move_the_border_between_tenant_and_bank():
    assert Scope("a/b", "c").key != Scope("a", "b/c").key


def test_units_and_records_of_equal_names_have_different_ids():
    scope = Scope("t", "b")
    assert unit_id(scope, "d", "c", 0) != unit_id(scope, "d", "c", 1)
    assert record_id(scope, "document", "d") != record_id(scope, "operation", "d")
    assert record_id(scope, "unit", "d") != unit_id(scope, "d", "", 0)


def test_ids_do_not_change_between_versions_of_the_program():
    """Stored data is found by them: a change here needs an upgrade of every directory."""
    assert point_id(Scope("t", "b"), "x") == "422a09d8-40f4-8294-909b-9ed68d63c08a"
    assert Scope("default", "b").bucket == 870


def test_an_id_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version 4"):
        bucket_of_id("6f1c2b1e-8f2e-4c57-9d0e-0c8f6e9f2b11")
    with pytest.raises(ValueError):
        bucket_of_id("no id")


def test_buckets_map_onto_all_shard_keys_evenly():
    keys = [shard_key_of(bucket) for bucket in range(BUCKETS)]
    assert keys == sorted(keys)
    assert {keys.count(key) for key in keys} == {BUCKETS // SHARD_KEYS}
    assert (keys[0], keys[-1]) == ("bucket-00", "bucket-63")


def test_banks_spread_over_the_buckets():
    used = {Scope("t", f"bank-{number}").bucket for number in range(10_000)}
    assert len(used) == BUCKETS


def test_the_deployments_own_scope_has_empty_names():
    assert Scope("", "") == SYSTEM
