"""The extractor over a scripted endpoint, through every kind of fault: nothing lost, nothing doubled, all counted."""

import asyncio
import dataclasses
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from memory.extraction.port import (
    Extracted,
    ExtractionMode,
    ExtractionProfile,
    NotExtracted,
    Usage,
    WindowOutcome,
    WindowRequest,
)
from memory.model_budget import BudgetLimits
from memory.records import UnitType
from memory.spending import Caps
from providers.llm_extractor import MAX_CUTS
from providers.policy import RetryPolicy
from tests.support.hostile_texts import HOSTILE
from tests.support.scripted_llm import FAULTS, Behaviour, ScriptedLlm, expected_facts
from tests.support.windows import HASTY, KEY, QUICK, Extraction, turn, window

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@pytest.fixture
def llm() -> Iterator[ScriptedLlm]:
    server = ScriptedLlm()
    yield server
    server.stop()


def many(count: int, banks: int = 3) -> list[WindowRequest]:
    """Windows of one to three turns in several banks."""
    return [
        window(
            *(
                f"Friend {number} lives in Town{number}. She moved on 2023-04-0{1 + part}."
                for part in range(1 + number % 3)
            ),
            bank=f"bank-{number % banks}",
            operation=f"operation-{number % 7}",
        )
        for number in range(count)
    ]


def found(outcome: WindowOutcome) -> list[tuple[int, str]]:
    assert isinstance(outcome, Extracted), outcome
    return [(fact.turns[0], fact.fact.text) for fact in outcome.facts]


def check_exact(requests: list[WindowRequest], outcomes: list[WindowOutcome]) -> None:
    """Each window has exactly the facts that the rule finds in it: none lost, none doubled, none of another window."""
    assert [outcome.window for outcome in outcomes] == [request.window for request in requests]
    for request, outcome in zip(requests, outcomes, strict=True):
        assert found(outcome) == expected_facts([each.text for each in request.turns])


def total(outcomes: list[WindowOutcome]) -> Usage:
    return sum((outcome.usage for outcome in outcomes), Usage())


def extract(llm: ScriptedLlm, requests: list[WindowRequest], **given: object) -> list[WindowOutcome]:
    async def run() -> list[WindowOutcome]:
        async with Extraction(llm, **given) as extraction:
            return await extraction.extract(requests)

    return asyncio.run(run())


def until_extracted(
    llm: ScriptedLlm, requests: list[WindowRequest], rounds: int, **given: object
) -> list[WindowOutcome]:
    """As a stage does: what failed and may be tried again is asked for again."""

    async def run() -> list[WindowOutcome]:
        outcomes: dict[str, WindowOutcome] = {}
        async with Extraction(llm, **given) as extraction:
            left = requests
            for _ in range(rounds):
                for outcome in await extraction.extract(left):
                    outcomes[outcome.window] = outcome
                left = [request for request in left if isinstance(outcomes[request.window], NotExtracted)]
                assert all(outcomes[request.window].retriable for request in left)
                if not left:
                    break
        return [outcomes[request.window] for request in requests]

    return asyncio.run(run())


def test_several_windows_of_a_bank_share_a_call_and_each_gets_its_own(llm):
    requests = many(24)
    outcomes = extract(llm, requests)
    check_exact(requests, outcomes)
    assert llm.counts["calls"] == 3
    assert total(outcomes) == Usage(llm.counts["prompt_tokens"], llm.counts["completion_tokens"], 3)


def test_banks_and_profiles_share_no_call(llm):
    careful = ExtractionProfile(mission="health")
    requests = [window("A.", bank="one"), window("B.", bank="two"), window("C.", bank="one", profile=careful)]
    extract(llm, requests)
    asked = [request["messages"][-1]["content"] for request in llm.requests]
    assert sorted(text.count('"text":') for text in asked) == [1, 1, 1]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fifth_of_calls_of_one_kind_failing_loses_and_doubles_nothing(llm, fault):
    llm.behave(rates={fault: 0.2}, seed=5)
    requests = many(36)
    outcomes = extract(llm, requests, call_windows=2, retries=HASTY if fault == "hang" else QUICK)
    check_exact(requests, outcomes)
    assert llm.counts[fault] > 1


def test_a_fifth_of_calls_failing_of_any_kind_loses_and_doubles_nothing(llm):
    llm.behave(rates=dict.fromkeys(FAULTS, 0.2 / len(FAULTS)), seed=11)
    requests = many(200)
    outcomes = until_extracted(llm, requests, rounds=3, retries=dataclasses.replace(HASTY, attempts=3), call_windows=3)
    check_exact(requests, outcomes)
    assert sum(llm.counts[fault] for fault in FAULTS) > 5


@pytest.mark.long
@pytest.mark.parametrize("rates", [{fault: 0.2} for fault in FAULTS] + [dict.fromkeys(FAULTS, 0.2 / len(FAULTS))])
def test_two_thousand_windows_through_a_fifth_of_faults(llm, rates):
    llm.behave(rates=rates, seed=1, latency_s=0.005)
    requests = many(2000, banks=20)
    long = dataclasses.replace(HASTY, deadline_s=240.0, attempts=4)
    outcomes = until_extracted(llm, requests, rounds=5, retries=long, budget=BudgetLimits(calls_at_once=32, call_s=0.5))
    check_exact(requests, outcomes)
    print(f"\n{rates}: {dict(llm.counts)}")


@pytest.mark.parametrize(
    ("formats", "expected"),
    [(("json_schema", "json_object"), "json_schema"), (("json_object",), "json_object"), ((), "text")],
)
@pytest.mark.parametrize("fenced", [False, True])
def test_the_strictest_kind_of_answer_that_the_endpoint_knows_is_kept(llm, formats, expected, fenced):
    llm.behave(formats=formats, fenced=fenced)

    async def run() -> None:
        async with Extraction(llm, call_windows=2) as extraction:
            requests = many(4, banks=1)
            check_exact(requests, await extraction.extract(requests))
            assert extraction.model.format == expected
            before = llm.counts["calls"]
            check_exact(requests, await extraction.extract(requests))
            assert llm.counts["calls"] == before + 2

    asyncio.run(run())


def test_windows_that_an_answer_leaves_out_are_asked_for_again_alone(llm):
    llm.behave(rates={"forgets": 1.0})
    requests = many(8, banks=1)
    check_exact(requests, extract(llm, requests))
    assert [request["messages"][-1]["content"].count('"turns":') for request in llm.requests] == [8, 1]


def test_a_window_whose_answers_are_never_readable_fails_alone_with_the_reason_and_may_be_tried_again(llm):
    llm.behave(rates={"prose": 1.0})
    (outcome,) = extract(
        llm, [window("Ana lives in Oslo.", "She likes tea.")], retries=dataclasses.replace(QUICK, attempts=3)
    )
    assert isinstance(outcome, NotExtracted)
    assert outcome.retriable
    assert not outcome.unavailable
    assert "cannot be read" in outcome.reason
    assert outcome.usage.calls == llm.counts["calls"] == 3


def test_an_answer_that_is_cut_off_says_which_setting_bounds_it(llm):
    llm.behave(rates={"truncated": 1.0})
    (outcome,) = extract(llm, [window("Ana lives in Oslo.")])
    assert "LOREBANK_LLM_MAX_OUTPUT_TOKENS" in outcome.reason
    assert outcome.retriable
    assert llm.counts["calls"] == MAX_CUTS


def test_a_refusal_is_named(llm):
    llm.behave(rates={"refusal": 1.0})
    (outcome,) = extract(llm, [window("Ana lives in Oslo.")], retries=dataclasses.replace(QUICK, attempts=2))
    assert "refuses" in outcome.reason


def test_a_request_that_the_endpoint_refuses_is_final_and_those_beside_it_pass(llm):
    llm.behave(max_prompt_tokens=1500)
    requests = [window("Ana lives in Oslo."), window("long " * 1500), window("Ben likes tea.")]
    first, second, third = extract(llm, requests)
    assert found(first) == [(0, "Ana lives in Oslo.")]
    assert found(third) == [(0, "Ben likes tea.")]
    assert isinstance(second, NotExtracted)
    assert not second.retriable
    assert "context length" in second.reason


def test_a_wrong_key_says_nothing_of_the_window_and_is_shown_nowhere(llm, caplog):
    llm.behave(api_key="another")
    (outcome,) = extract(
        llm, [window("Ana lives in Oslo.")], retries=RetryPolicy(deadline_s=1.0, attempts=2, first_wait_s=0.01)
    )
    assert isinstance(outcome, NotExtracted)
    assert outcome.retriable
    assert outcome.unavailable
    assert "401" in outcome.reason
    assert KEY not in outcome.reason + caplog.text


def test_an_endpoint_that_is_down_until_the_deadline_makes_no_attempt_of_the_window_count(llm):
    llm.behave(down=True)
    brief = dataclasses.replace(QUICK, deadline_s=0.8)
    outcomes = extract(llm, many(12), retries=brief, failures=1)
    assert all(isinstance(outcome, NotExtracted) and outcome.retriable for outcome in outcomes)
    assert all(outcome.unavailable for outcome in outcomes)
    assert any("does not answer" in outcome.reason for outcome in outcomes)


@pytest.mark.parametrize("trouble", [{"down": True}, {"rates": {"hang": 1.0}}, {"rates": {"server_error": 1.0}}])
def test_what_waits_goes_on_when_the_endpoint_is_back(llm, trouble):
    llm.behave(**trouble)

    async def run() -> None:
        budget = BudgetLimits(calls_at_once=4, call_s=0.3)
        async with Extraction(llm, budget, retries=dataclasses.replace(QUICK, attempt_s=0.3)) as extraction:
            requests = many(24)
            waiting = asyncio.create_task(extraction.extract(requests))
            await extraction.until(lambda it: it.access.budget.circuit.open or waiting.done())
            assert not waiting.done()
            llm.behave(down=False, rates={})
            check_exact(requests, await waiting)
            assert not extraction.access.budget.circuit.open
            assert extraction.access.budget.under_way == 0

    asyncio.run(run())


def test_calls_under_way_are_never_more_than_allowed():
    peak = 0

    class Watched(ScriptedLlm):
        def next_fault(self) -> None:
            nonlocal peak
            with self._lock:
                self.counts["open"] += 1
                peak = max(peak, self.counts["open"])
            self.stopping.wait(0.02)
            with self._lock:
                self.counts["open"] -= 1

    server = Watched()
    try:
        requests = many(30)
        check_exact(requests, extract(server, requests, budget=BudgetLimits(calls_at_once=3), call_windows=1))
    finally:
        server.stop()
    assert peak == 3


def test_the_cap_of_a_bank_is_final_says_so_and_leaves_other_banks_alone(llm):
    budget = BudgetLimits(caps=Caps(bank_tokens=5000))
    requests = [window(f"Ana met Friend{number}.", bank="one") for number in range(30)] + [window("Ben.", bank="two")]
    *ones, two = extract(llm, requests, budget=budget, call_windows=1)
    refused = [outcome for outcome in ones if isinstance(outcome, NotExtracted)]
    assert refused
    assert not any(outcome.retriable for outcome in refused)
    assert "bank 'one' may spend 5000 tokens" in refused[0].reason
    assert total(ones).prompt_tokens + total(ones).completion_tokens <= 5000
    assert isinstance(two, Extracted)


def test_tokens_are_counted_by_bank_and_tenant(llm):
    llm.behave(rates={"prose": 0.2, "hang": 0.1}, seed=3)

    async def run() -> None:
        async with Extraction(llm, call_windows=3, retries=HASTY) as extraction:
            requests = many(40)
            outcomes = await extraction.extract(requests)
            ledger = extraction.access.budget.ledger
            usage = total(outcomes)
            assert ledger.spent["tenant", None] == usage.prompt_tokens + usage.completion_tokens
            assert sum(ledger.spent["tenant", f"bank-{number}"] for number in range(3)) == ledger.spent["tenant", None]

    asyncio.run(run())


def test_one_window_twice_in_a_request_is_paid_for_once(llm):
    request = window("Ana lives in Oslo.")
    first, second = extract(llm, [request, request])
    assert first == second
    assert llm.counts["calls"] == 1


@pytest.mark.parametrize(
    "request_",
    [window("Ana lives in Oslo.", profile=ExtractionProfile(mode=ExtractionMode.CHUNKS)), window("  ", "\n")],
)
def test_nothing_to_extract_calls_nobody(llm, request_):
    assert extract(llm, [request_]) == [Extracted(request_.window, (), "scripted")]
    assert not llm.counts


def test_verbatim_facts_are_the_turns_own_words(llm):
    words = "  Ana lives in Oslo now. She likes it!  "
    (outcome,) = extract(llm, [window(words, profile=ExtractionProfile(mode=ExtractionMode.VERBATIM))])
    assert [fact.fact.text for fact in outcome.facts] == [words.strip()]


@pytest.mark.parametrize("obeys", [False, True])
def test_hostile_texts_are_extracted_like_any_other_even_by_a_model_that_obeys(llm, obeys):
    """What they state is what they say; what a model was talked into is in no outcome."""
    llm.behave(obeys=obeys)
    requests = [window(text, "Ana likes tea.") for text in HOSTILE if len(text) < 1000]
    assert len(requests) >= 30
    outcomes = extract(llm, requests)
    for request, outcome in zip(requests, outcomes, strict=True):
        expected = expected_facts([str(each.text.encode("utf-8", "replace"), "utf-8") for each in request.turns])
        plain = [(order, " ".join(CONTROL.sub(" ", text).split())) for order, text in expected]
        assert found(outcome) == plain
        assert outcome.dropped == (3 if obeys else 0)


def test_what_an_extraction_knows_of_a_fact(llm):
    agent = turn("I booked Hotel Sol for 2024-06-01.", 1, speaker=None, role="assistant")
    asked = window("Ana flies to Rome.")
    (outcome,) = extract(llm, [dataclasses.replace(asked, turns=(*asked.turns, agent))])
    first, second = outcome.facts
    assert first.fact.type is UnitType.WORLD
    assert (first.turns, first.quote, first.language) == ((0,), "Ana flies to Rome.", "en")
    assert first.entities == (("Ana", "concept"), ("Rome", "concept"))
    assert second.fact.type is UnitType.EXPERIENCE
    assert second.turns == (1,)
    assert second.fact.occurred.start == datetime(2024, 6, 1, tzinfo=UTC)
    assert second.fact.occurred.end == datetime(2024, 6, 2, tzinfo=UTC)


def test_a_caller_that_gives_up_leaves_line_and_budget_as_they_were(llm):
    llm.behave(rates={"hang": 1.0})

    async def run() -> None:
        async with Extraction(llm, BudgetLimits(calls_at_once=2, call_s=30.0), retries=RetryPolicy()) as extraction:
            waiting = asyncio.create_task(extraction.extract(many(9)))
            await extraction.until(lambda it: it.access.budget.under_way == 2)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            budget = extraction.access.budget
            assert (budget.under_way, budget.waiting) == (0, 0)
            assert budget.ledger.refusal("tenant", "bank-0", 0) is None

    asyncio.run(run())


def test_a_prompt_for_one_sentence_is_small(llm):
    extract(llm, [window("I moved to Oslo last month and I work as a nurse now.")])
    assert llm.counts["prompt_tokens"] < 1000


def test_in_calls_for_several_windows_a_sentence_costs_a_fifth_of_that(llm):
    requests = [window(f"I moved to Town{number} last month and I work as a nurse now.") for number in range(40)]
    extract(llm, requests)
    assert llm.counts["prompt_tokens"] / len(requests) < 200


def test_the_scripted_behaviour_can_be_set_at_the_start():
    server = ScriptedLlm(Behaviour(rates={"empty": 1.0}))
    try:
        (outcome,) = extract(server, [window("Ana.")], retries=dataclasses.replace(QUICK, attempts=2))
        assert isinstance(outcome, NotExtracted)
    finally:
        server.stop()
