"""Documents replaced again and again: readers see old, new or both; every acknowledged version is one of a kind."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from itertools import count

import pytest

from actors.client import BankClient
from actors.settings import Settings
from memory.commands import Item, Retain, RetainReceipt
from memory.errors import Overloaded
from memory.filters import AnyOf
from memory.ids import Scope
from memory.recall import RecallQuery

Run = Callable[[Callable[[BankClient], Awaitable[None]]], None]
LINES = 5


@pytest.fixture
def run(deployment: Settings, loop: asyncio.AbstractEventLoop) -> Run:
    async def connected(scenario: Callable[[BankClient], Awaitable[None]]) -> None:
        await scenario(await BankClient.connect(deployment))

    return lambda scenario: loop.run_until_complete(connected(scenario))


def lines(version: int) -> list[str]:
    return [f"line {number} of the harbour log, version {version}" for number in range(LINES)]


def replacing(document: str, texts: list[str]) -> Retain:
    return Retain(str(uuid.uuid4()), tuple(Item(text, document) for text in texts))


async def recalled(client: BankClient, scope: Scope) -> list[str]:
    answer = await client.recall(scope, RecallQuery("the harbour log"))
    return [result.payload["text"] for result in answer.results]


async def units_of(client: BankClient, scope: Scope, document: str) -> list[str]:
    page = await client.list_units(scope, AnyOf("document_id", (document,)), limit=1000)
    return sorted(unit.text for unit in page.units)


# -- one document under readers


@pytest.mark.parametrize("replaces", [60, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_readers_of_a_document_that_is_replaced_see_old_new_or_both_and_never_neither(run: Run, replaces: int) -> None:
    async def scenario(client: BankClient) -> None:
        scope = Scope("tenant", f"bank-{uuid.uuid4()}")
        await client.retain(scope, replacing("log", lines(0)))
        acknowledged, sending, reads = 0, 0, 0
        ended = asyncio.Event()

        async def read_on() -> None:
            nonlocal reads
            while not ended.is_set():
                lowest = acknowledged
                found = set(await recalled(client, scope))
                whole = [v for v in range(lowest, sending + 1) if set(lines(v)) <= found]
                assert whole, f"no version from {lowest} to {sending} is there whole: {sorted(found)}"
                assert found <= {line for v in range(lowest, sending + 1) for line in lines(v)}
                part = await client.read_document(scope, "log")
                assert part.text.split("\n") in [lines(v) for v in range(lowest, sending + 1)]
                reads += 1

        readers = [asyncio.create_task(read_on()) for _ in range(3)]
        for version in range(1, replaces + 1):
            sending = version
            await client.retain(scope, replacing("log", lines(version)))
            acknowledged = version
            assert set(await recalled(client, scope)) == set(lines(version)), f"a mix after version {version} settled"
            for reader in readers:
                if reader.done():
                    reader.result()
        ended.set()
        await asyncio.gather(*readers)
        assert await units_of(client, scope, "log") == sorted(lines(replaces))
        print(f"{replaces} replaces under {reads} reads")

    run(scenario)


# -- many writers of few documents


@pytest.mark.parametrize("replaces", [300, pytest.param(5000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_versions_of_many_writers_are_distinct_and_gapless_and_the_last_one_stays(run: Run, replaces: int) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")
    documents = [f"log {number}" for number in range(8)]

    async def scenario(client: BankClient) -> None:
        scope = Scope("tenant", f"bank-{uuid.uuid4()}")
        numbers = count(1)
        acks: dict[str, dict[int, list[str]]] = {document: {} for document in documents}

        async def write_on(writer: int) -> None:
            choice = random.Random(f"{seed} {writer}")
            while (number := next(numbers)) <= replaces:
                document = choice.choice(documents)
                texts = [f"{line} by {writer} as number {number}" for line in range(choice.randint(1, LINES))]
                receipt = await insisting(client, scope, replacing(document, texts))
                (written,) = receipt.documents
                assert written.version not in acks[document], f"{document}: version {written.version} given twice"
                acks[document][written.version] = texts

        await asyncio.gather(*(write_on(writer) for writer in range(64)))
        assert sum(map(len, acks.values())) == replaces
        for document, versions in acks.items():
            assert sorted(versions) == list(range(1, len(versions) + 1)), f"{document}: versions have gaps"
            last = versions[len(versions)]
            part = await client.read_document(scope, document)
            assert (part.document.version, part.text) == (len(versions), "\n".join(last))
            assert await units_of(client, scope, document) == sorted(last)

    run(scenario)


async def insisting(client: BankClient, scope: Scope, command: Retain) -> RetainReceipt:
    """Sent again while the bank's mailbox is full, as a client would."""
    while True:
        try:
            return await client.retain(scope, command)
        except Overloaded as exc:
            await asyncio.sleep(exc.retry_after_s / 10)
