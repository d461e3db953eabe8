import asyncio

import numpy as np
import pytest

from actors.batcher import (
    MIN_BATCH_TEXTS,
    REMEMBERED_BANKS,
    SHORT_BATCH_CHARS,
    SHORT_BATCH_TEXTS,
    SLICE_TEXTS,
    SMALL_TEXTS,
    MicroBatcher,
)
from tests.support.loops import idle, in_loop


class Recorder:
    """A dispatch that writes down its batches and answers with each text's length."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def __call__(self, texts: list[str]):
        self.batches.append(texts)
        return np.array([[len(text)] for text in texts], dtype=np.float32)


def batcher(dispatch, *, max_texts: int = 32, workers: int = 1, wait_s: float = 0.0) -> MicroBatcher:
    return MicroBatcher(dispatch, max_texts=max_texts, wait_s=wait_s, workers=workers)


def texts(count: int, start: int = 0) -> list[str]:
    return ["x" * (start + n) for n in range(count)]


@in_loop
async def test_texts_of_many_callers_share_a_batch_and_each_gets_its_own_vectors():
    dispatch = Recorder()
    batches = batcher(dispatch)
    answers = await asyncio.gather(batches.embed(["aaa", "a"]), batches.embed(["aa"]), batches.embed([]))
    assert [[float(vector[0]) for vector in answer] for answer in answers] == [[3, 1], [2], []]
    assert dispatch.batches == [["a", "aa", "aaa"]]


@in_loop
async def test_nothing_to_embed_dispatches_nothing():
    dispatch = Recorder()
    assert await batcher(dispatch).embed([]) == []
    assert dispatch.batches == []


@in_loop
async def test_a_full_batch_does_not_wait():
    dispatch = Recorder()
    never = 3600.0
    await batcher(dispatch, max_texts=8, wait_s=never).embed(texts(8))
    assert [len(batch) for batch in dispatch.batches] == [8]


@in_loop
async def test_a_batch_that_is_not_full_waits_for_its_time():
    loop, due = asyncio.get_running_loop(), []
    loop.call_later = lambda delay, send: due.append((delay, send)) or asyncio.TimerHandle(0, send, (), loop)
    dispatch = Recorder()
    batches = batcher(dispatch, wait_s=0.005)
    first, second = (asyncio.ensure_future(batches.embed([text])) for text in ("a", "bb"))
    await idle()
    assert dispatch.batches == []
    ((delay, send),) = due
    assert delay == 0.005
    send()
    await asyncio.gather(first, second)
    assert dispatch.batches == [["a", "bb"]]


@in_loop
async def test_batches_are_sorted_by_length_never_too_long_and_the_oldest_texts_go_first():
    dispatch = Recorder()
    long_ones_first = texts(50)[::-1]
    await batcher(dispatch, max_texts=16).embed(long_ones_first)
    assert [len(batch) for batch in dispatch.batches] == [16, 16, 16, 2]
    assert all(batch == sorted(batch, key=len) for batch in dispatch.batches)
    assert [sorted(batch) for batch in dispatch.batches] == [
        sorted(long_ones_first[start : start + 16]) for start in range(0, 50, 16)
    ]


@pytest.mark.parametrize(
    ("count", "workers", "sizes"),
    [(40, 2, [20, 20]), (40, 4, [10, 10, 10, 10]), (MIN_BATCH_TEXTS, 4, [MIN_BATCH_TEXTS]), (10, 4, [8, 2])],
)
def test_every_worker_gets_a_share_but_no_tiny_one(count: int, workers: int, sizes: list[int]):
    @in_loop
    async def run():
        dispatch = Recorder()
        await batcher(dispatch, max_texts=64, workers=workers).embed(texts(count))
        assert [len(batch) for batch in dispatch.batches] == sizes

    run()


@in_loop
async def test_no_batch_is_longer_than_it_may_be():
    dispatch = Recorder()
    await batcher(dispatch, max_texts=4, workers=2).embed(texts(9))
    assert max(len(batch) for batch in dispatch.batches) <= 4


@in_loop
async def test_an_error_reaches_everyone_in_its_batch_and_nobody_else():
    async def dispatch(batch: list[str]):
        if any("bad" in text for text in batch):
            raise ValueError("no model")
        return np.zeros((len(batch), 1), dtype=np.float32)

    batches = batcher(dispatch, max_texts=8)
    long = texts(6, start=20)  # sorted by length they make a batch of their own
    outcomes = await asyncio.gather(
        batches.embed(["bad", "b"]), batches.embed(texts(6)), batches.embed(long), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [ValueError, ValueError, list]
    assert len(await batches.embed(["d"])) == 1


@in_loop
async def test_a_caller_that_gives_up_does_not_disturb_the_others():
    gate = asyncio.Event()

    async def dispatch(batch: list[str]):
        await gate.wait()
        return np.zeros((len(batch), 1), dtype=np.float32)

    batches = batcher(dispatch)
    leaving, staying = (asyncio.ensure_future(batches.embed([text])) for text in "ab")
    await idle()
    leaving.cancel()
    gate.set()
    assert len(await staying) == 1


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_no_more_batches_are_under_way_than_there_are_workers(workers: int):
    @in_loop
    async def run():
        gate = asyncio.Event()
        running, most = 0, 0

        async def dispatch(batch: list[str]):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await gate.wait()
            running -= 1
            return np.zeros((len(batch), 1), dtype=np.float32)

        batches = batcher(dispatch, max_texts=8, workers=workers)
        callers = [asyncio.ensure_future(batches.embed(texts(8))) for _ in range(10)]
        await idle()
        assert running == workers
        gate.set()
        assert [len(vectors) for vectors in await asyncio.gather(*callers)] == [8] * 10
        assert most == workers

    run()


@in_loop
async def test_what_arrives_while_all_workers_are_busy_shares_the_next_batch():
    gate = asyncio.Event()
    sizes = []

    async def dispatch(batch: list[str]):
        sizes.append(len(batch))
        if len(sizes) == 1:
            await gate.wait()
        return np.zeros((len(batch), 1), dtype=np.float32)

    batches = batcher(dispatch)
    first = asyncio.ensure_future(batches.embed(["first"]))
    await idle()
    later = [asyncio.ensure_future(batches.embed([text])) for text in "abcd"]
    await idle()
    assert sizes == [1]
    gate.set()
    await asyncio.gather(first, *later)
    assert sizes == [1, 4]


@in_loop
async def test_a_worker_that_fails_is_free_again():
    failed = []

    async def dispatch(batch: list[str]):
        if not failed:
            failed.append(batch)
            raise ValueError("no model")
        return np.zeros((len(batch), 1), dtype=np.float32)

    batches = batcher(dispatch, max_texts=8)
    first, second = (asyncio.ensure_future(batches.embed(texts(8))) for _ in range(2))
    with pytest.raises(ValueError, match="no model"):
        await first
    assert len(await second) == 8


class Gated(Recorder):
    """A recorder whose batches wait until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def __call__(self, texts: list[str]):
        answer = await super().__call__(texts)
        await self.gate.wait()
        return answer


def named(bank: str, count: int) -> list[str]:
    return [f"{bank}{number:04}" for number in range(count)]


async def order_of(*commands: tuple[str, int], max_texts: int = 32) -> list[str]:
    """Which banks' texts went, in slices of the batches' order, after one that was under way when they came."""
    dispatch = Gated()
    batches = batcher(dispatch, max_texts=max_texts)
    asked = [asyncio.ensure_future(batches.embed(["under way"] * max_texts))]
    await idle()
    for bank, count in commands:
        asked.append(asyncio.ensure_future(batches.embed(named(bank, count), bank=bank)))
        await idle()
    dispatch.gate.set()
    await asyncio.gather(*asked)
    return ["".join(sorted({text[0] for text in batch})) for batch in dispatch.batches[1:]]


@in_loop
async def test_a_bank_that_floods_waits_for_itself():
    flood = [("a", SLICE_TEXTS)] * 5
    assert await order_of(*flood, ("b", SLICE_TEXTS), ("c", SLICE_TEXTS)) == ["a", "b", "c", "a", "a", "a", "a"]


@in_loop
async def test_one_long_document_goes_in_slices_between_those_of_others():
    assert await order_of(("a", 4 * SLICE_TEXTS), ("b", 2 * SLICE_TEXTS)) == ["a", "b", "a", "b", "a", "a"]


@in_loop
async def test_a_bank_that_was_away_has_no_claim_on_the_past():
    dispatch = Gated()
    batches = batcher(dispatch, max_texts=SLICE_TEXTS)
    flood = [asyncio.ensure_future(batches.embed(named("a", SLICE_TEXTS), bank="a")) for _ in range(6)]
    await idle()
    dispatch.gate.set()
    late = asyncio.ensure_future(batches.embed(named("b", 3 * SLICE_TEXTS), bank="b"))
    await asyncio.gather(late, *flood)
    order = "".join(batch[0][0] for batch in dispatch.batches)
    assert order.index("b") <= 2
    assert "bbb" not in order


@in_loop
async def test_batches_are_short_while_somebody_waits_for_a_few_texts():
    dispatch = Gated()
    batches = batcher(dispatch, max_texts=128)
    asked = [asyncio.ensure_future(batches.embed(["small"] * SMALL_TEXTS, bank="s"))]
    await idle()
    asked.append(asyncio.ensure_future(batches.embed(named("a", 100), bank="a")))
    await idle()
    dispatch.gate.set()
    await asyncio.gather(*asked)
    assert max(len(batch) for batch in dispatch.batches) <= SHORT_BATCH_TEXTS


@in_loop
async def test_short_batches_have_few_characters_but_at_least_one_text():
    dispatch = Recorder()
    batches = batcher(dispatch, max_texts=128)
    long = "x" * (SHORT_BATCH_CHARS // 2 + 1)
    await batches.embed([long, long, long * 3])
    assert [len(batch) for batch in dispatch.batches] == [1, 1, 1]


@in_loop
async def test_what_is_known_of_banks_is_bounded_while_the_queue_never_empties():
    dispatch = Gated()
    batches = batcher(dispatch, max_texts=8)
    asked = [asyncio.ensure_future(batches.embed(["under way"] * 8))]
    for number in range(3 * REMEMBERED_BANKS):
        asked.append(asyncio.ensure_future(batches.embed(["x"], bank=str(number))))
        if number % REMEMBERED_BANKS == 0:
            await idle()
            batches._stamp += 1  # as if what came so far had gone
    await idle()
    assert len(batches._served) <= REMEMBERED_BANKS + 1
    dispatch.gate.set()
    await asyncio.gather(*asked)
