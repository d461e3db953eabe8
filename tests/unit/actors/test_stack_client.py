"""Recall over several banks, and the scopes they are found by, over real owners and a store in memory."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.address_book import AddressBook
from actors.settings import Settings, load_settings
from memory.addresses import Address
from memory.commands import DeleteBank, Retain, UpdateBank
from memory.errors import Conflict
from memory.ids import Scope
from memory.recall import RecallQuery
from memory.records import Head
from memory.store_calls import CreateHead
from tests.support.builders import DIM, fresh_scope, retain
from tests.support.local_client import recalling_client
from tests.support.local_store import LocalStore
from tests.support.loops import in_loop

TENANT = "t"
SHORT = RecallQuery("red bicycle", limit=10)


@pytest.fixture(scope="module")
def given_settings(tmp_path_factory) -> Settings:
    path = tmp_path_factory.mktemp("stack")
    return load_settings(embedder="hash", embedding_dim=DIM, data=path, recall_profile_ttl_s=1.0)


def said(text: str, op: str = "op") -> Retain:
    return retain(text, op=op, document_id=f"d-{op}")


def texts(found) -> list[tuple[str, str]]:
    return [(result.bank, result.payload["text"]) for result in found.answer.results]


@in_loop
async def test_banks_are_recalled_together_and_each_result_names_its_own(given_settings):
    client = recalling_client(given_settings)
    await client.retain(Scope(TENANT, "far"), said("The red bicycle is in the garden."))
    await client.retain(Scope(TENANT, "near"), said("The red bicycle is in the garden."))
    await client.retain(Scope(TENANT, "near"), said("A boat is blue.", "op-2"))
    found = await client.stacks.recall(TENANT, ["near", "nowhere", "far"], SHORT, {})
    assert texts(found)[:2] == [("near", "The red bicycle is in the garden."), ("far", texts(found)[0][1])]
    assert found.missing == ("nowhere",)
    assert texts(found)[2:] == [("near", "A boat is blue.")]
    turned = await client.stacks.recall(TENANT, ["far", "near"], SHORT, {})
    assert [bank for bank, _ in texts(turned)] == ["far", "near", "near"]
    assert texts(await client.stacks.recall("other", ["near", "far"], SHORT, {})) == []


@in_loop
async def test_a_bank_that_comes_is_found_at_once_though_it_was_missing(given_settings):
    client = recalling_client(given_settings)
    assert (await client.stacks.recall(TENANT, ["late"], SHORT, {})).missing == ("late",)
    await client.retain(Scope(TENANT, "late"), said("The red bicycle."))
    found = await client.stacks.recall(TENANT, ["late"], SHORT, {})
    assert (texts(found), found.missing) == ([("late", "The red bicycle.")], ())


WORDS = st.lists(st.sampled_from(["red", "bicycle", "boat", "garden", "Ana", "order"]), min_size=1, max_size=4)
TOLD = st.lists(st.tuples(st.sampled_from("st"), st.sampled_from("ab/"), WORDS), min_size=1, max_size=6)
ASKED = st.lists(st.sampled_from(["a", "b", "/", "c"]), min_size=1, max_size=4, unique=True)


@settings(max_examples=40)
@given(told=TOLD, asked=ASKED, tenant=st.sampled_from("st"), words=WORDS)
def test_a_recall_sees_the_named_banks_of_its_tenant_and_nothing_else(told, asked, tenant, words, given_settings):

    async def scenario() -> None:
        client = recalling_client(given_settings)
        for number, (owner, bank, said_words) in enumerate(told):
            await client.retain(Scope(owner, bank), said(f"{' '.join(said_words)} {number}.", f"op-{number}"))
        found = await client.stacks.recall(tenant, asked, RecallQuery(" ".join(words), limit=100), {})
        expected = {
            (bank, f"{' '.join(said_words)} {number}.")
            for number, (owner, bank, said_words) in enumerate(told)
            if owner == tenant and bank in asked
        }
        assert set(texts(found)) == expected
        assert set(found.missing) == set(asked) - {bank for owner, bank, _ in told if owner == tenant}

    asyncio.run(scenario())


@in_loop
async def test_a_scope_finds_the_tiers_that_exist_nearest_first(given_settings):
    client = recalling_client(given_settings)
    tiers = {
        "own": Address("app", "helper", "ana"),
        "ana": Address("app", user="ana"),
        "helper": Address("app", "helper"),
        "app": Address("app"),
    }
    for name, address in tiers.items():
        if name != "helper":
            await client.stacks.update_bank(Scope(TENANT, name), {"name": name}, address)
            await client.retain(Scope(TENANT, name), said("The red bicycle."))
    assert await client.stacks.find_banks(TENANT, tiers["own"]) == ["own", "ana", "app"]
    assert await client.stacks.find_banks(TENANT, Address("app", "helper", "ben")) == ["app"]
    assert await client.stacks.find_banks(TENANT, Address("other", "helper", "ana")) == []
    assert await client.stacks.find_banks("other", tiers["own"]) == []
    await client.stacks.update_bank(Scope(TENANT, "helper"), {}, tiers["helper"])
    assert await client.stacks.find_banks(TENANT, tiers["own"]) == ["own", "ana", "helper", "app"]
    head = await client.find_head(Scope(TENANT, "own"))
    assert head is not None
    assert head.profile == {"name": "own", "scope": {"host": "app", "agent": "helper", "user": "ana"}}


@in_loop
async def test_a_second_bank_of_a_scope_is_refused_and_left_as_it_was(given_settings):
    client = recalling_client(given_settings)
    address = Address("app", user="ana")
    await client.stacks.update_bank(Scope(TENANT, "first"), {}, address)
    with pytest.raises(Conflict, match="'first' has this scope"):
        await client.stacks.update_bank(Scope(TENANT, "second"), {"name": "x"}, address)
    assert await client.find_head(Scope(TENANT, "second")) is None
    again = await client.stacks.update_bank(Scope(TENANT, "first"), {"name": "y"}, address)
    assert again.profile["name"] == "y"
    await client.stacks.update_bank(Scope("other", "second"), {}, address)
    assert await client.stacks.find_banks("other", address) == ["second"]


@in_loop
async def test_a_scope_that_is_left_is_free_for_others(given_settings):
    client = recalling_client(given_settings)
    first, second = Address("app", user="ana"), Address("app", user="ben")
    await client.stacks.update_bank(Scope(TENANT, "one"), {}, first)
    await client.stacks.update_bank(Scope(TENANT, "one"), {}, second)
    assert await client.stacks.find_banks(TENANT, first) == []
    await client.stacks.update_bank(Scope(TENANT, "two"), {}, first)
    await client.delete_bank(Scope(TENANT, "one"), DeleteBank("delete"))
    assert await client.stacks.find_banks(TENANT, second) == []
    await client.stacks.update_bank(Scope(TENANT, "three"), {}, second)
    assert await client.stacks.find_banks(TENANT, second) == ["three"]


@in_loop
async def test_of_many_that_want_a_scope_at_once_one_gets_it(engine):
    """Over every engine: the guard of records is all that keeps them apart."""
    store, tenant, address = LocalStore(engine), fresh_scope().tenant, Address("app")
    books = [AddressBook(store) for _ in range(6)]
    for number in range(6):
        engine.call(Scope(tenant, f"bank-{number}"), CreateHead(Head(epoch=1, commit=1, exists=True)))
    ends = await asyncio.gather(
        *(book.assign(Scope(tenant, f"bank-{number}"), address) for number, book in enumerate(books)),
        return_exceptions=True,
    )
    won = [number for number, end in enumerate(ends) if end is None]
    assert len(won) == 1
    assert all(isinstance(end, Conflict) for number, end in enumerate(ends) if number not in won)
    assert await AddressBook(store).find_banks(tenant, (address,)) == [f"bank-{won[0]}"]
    await books[0].release(Scope(tenant, f"bank-{won[0]}"), address)
    assert await AddressBook(store).find_banks(tenant, (address,)) == [None]


@in_loop
async def test_a_bank_that_is_gone_keeps_no_scope(given_settings):
    """As after a kill between the deletion of a bank and the release of its scope."""
    client = recalling_client(given_settings)
    book, address = AddressBook(client._store), Address("app")
    await book.assign(Scope(TENANT, "gone"), address)
    await client.update_bank(Scope(TENANT, "next"), UpdateBank("op", {}))
    await book.assign(Scope(TENANT, "next"), address)
    assert await book.find_banks(TENANT, (address,)) == ["next"]


@in_loop
async def test_a_recall_over_several_banks_says_that_one_of_them_is_stale(given_settings):
    client = recalling_client(given_settings)
    receipt = await client.retain(Scope(TENANT, "one"), said("The red bicycle."))
    await client.retain(Scope(TENANT, "two"), said("The red bicycle."))
    fresh = await client.stacks.recall(TENANT, ["one", "two"], SHORT, {"one": receipt.seq})
    assert fresh.answer.stale is False
    stale = await client.stacks.recall(TENANT, ["one", "two"], SHORT, {"one": receipt.seq, "two": receipt.seq + 100})
    assert stale.answer.stale is True
    assert len(stale.answer.results) == 2
