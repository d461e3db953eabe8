"""The loop of a reflection, driven by hand: every tool, every limit, every way in which the model fails."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.ports import Completion
from memory.reflecting.loop import NO_MODEL, SPENT, UNREADABLE, Loop
from memory.reflecting.port import (
    Answered,
    AskModel,
    Brief,
    Limits,
    ModelAnswered,
    ModelAway,
    Piece,
    Question,
    ToolAnswer,
    ToolsAnswered,
    UseTools,
    limits_of,
)
from memory.reflecting.tools import MEANINGS, tools_of

LIMITS = Limits(calls=4, tool_calls=12, tokens=60_000, evidence_tokens=2000, seconds=20.0)
QUESTION = Question("Where is the key?")
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}


class Driver:
    """Answers wishes: tools find two pieces each, the model says what it is told to, one thing after the other."""

    def __init__(self, *said: Any, question: Question = QUESTION, limits: Limits = LIMITS, **loop: Any) -> None:
        tools = loop.pop("tools", tools_of(question, mental_models=True, observations=True))
        self.loop = Loop(question, loop.pop("brief", Brief()), limits, tools, 0.0, "2026-01-01", **loop)
        self.said = list(said)
        self.wishes: list[Any] = []
        self.now_s = 0.0
        self.call_s = 1.0
        self.tokens = (100, 20)
        self.pieces = 0

    def run(self) -> Answered:
        steps = self.loop.steps()
        reply: Any = None
        while True:
            try:
                wish = steps.send(reply)
            except StopIteration as end:
                return end.value
            self.wishes.append(wish)
            reply = self.reply(wish)

    def reply(self, wish: Any) -> Any:
        if isinstance(wish, UseTools):
            return ToolsAnswered(tuple(ToolAnswer(self.found(call)) for call in wish.calls), self.now_s)
        self.now_s += self.call_s
        said = self.said.pop(0)
        if isinstance(said, ModelAway):
            return replace(said, now_s=self.now_s)
        finish = "stop"
        if isinstance(said, tuple):
            said, finish = said
        text = said if isinstance(said, str) else json.dumps(said)
        return ModelAnswered(Completion(text, finish, *self.tokens), self.now_s, self.call_s)

    def found(self, call: Any) -> tuple[Piece, ...]:
        names = [f"{call.tool}-{self.pieces + number}" for number in range(2)]
        self.pieces += 2
        kind = "mental_model" if call.tool == "search_mental_models" else "memory"
        return tuple(Piece(name, kind, f"text of {name}", 5, {"type": "world"}) for name in names)

    @property
    def asked(self) -> list[AskModel]:
        return [wish for wish in self.wishes if isinstance(wish, AskModel)]


def answer(text: str = "Under the pot.", *used: str) -> dict[str, Any]:
    return {"calls": [], "answer": text, "used": list(used)}


def call(tool: str, query: str | None = None, ids: list[str] | None = None) -> dict[str, Any]:
    return {"calls": [{"tool": tool, "query": query, "ids": ids}], "answer": None, "used": []}


def test_everything_is_looked_up_before_the_model_is_asked_once():
    driver = Driver(answer("Under the pot.", "m5"))
    done = driver.run()
    first = driver.wishes[0]
    assert [one.tool for one in first.calls] == ["search_mental_models", "search_observations", "recall"]
    assert {one.query for one in first.calls} == {QUESTION.query}
    assert len(driver.asked) == 1
    assert (done.text, done.mode, done.prompt_tokens, done.answer_tokens) == ("Under the pot.", "llm", 100, 20)
    assert [piece.id for piece in done.based_on] == ["recall-4"]
    assert len(done.seen) == 6
    assert [traced.purpose for traced in done.models] == ["reflect"]


def test_every_tool_can_be_called_and_labels_become_ids():
    driver = Driver(
        call("search_mental_models", "keys"),
        call("search_observations", "keys"),
        call("expand", ids=["m5", "m6"]),
        answer("There.", "m1"),
        limits=replace(LIMITS, calls=6),
    )
    driver.run()
    used = [one for wish in driver.wishes if isinstance(wish, UseTools) for one in wish.calls]
    assert [one.tool for one in used[3:]] == ["search_mental_models", "search_observations", "expand"]
    assert used[-1].ids == ("recall-4", "recall-5")
    driver = Driver(call("recall", "pots"), call("read_document", ids=["m5"]), answer())
    assert [traced.call.tool for traced in driver.run().tools][3:] == ["recall", "read_document"]
    assert set(MEANINGS) == {"search_mental_models", "search_observations", "recall", "expand", "read_document"}


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (call("delete_bank", "x"), "no tool 'delete_bank'"),
        (call("", "x"), "no tool ''"),
        (call("recall", " ?! "), "query is needed"),
        (call("recall"), "query is needed"),
        (call("expand", ids=["m99"]), "under the label 'm99'"),
        (call("expand", ids=["recall-4"]), "under the label"),
        (call("expand"), "ids is needed"),
    ],
)
def test_calls_that_may_not_be_made_are_refused_and_the_model_is_told(step, why):
    driver = Driver(step, answer())
    done = driver.run()
    assert len([wish for wish in driver.wishes if isinstance(wish, UseTools)]) == 1
    assert why in done.tools[-1].answer.problem
    assert "refused" in driver.asked[1].messages[-1]["content"]


def test_a_tool_that_the_bank_has_nothing_for_is_no_tool():
    tools = tools_of(QUESTION, mental_models=False, observations=False)
    driver = Driver(call("search_mental_models", "x"), answer(), tools=tools)
    assert [one.call.tool for one in driver.run().tools] == ["recall", "search_mental_models"]
    assert "search_mental_models" not in driver.asked[0].messages[0]["content"]
    excluded = replace(QUESTION, use_mental_models=False)
    assert "search_mental_models" not in tools_of(excluded, mental_models=True, observations=True)


def test_at_the_last_call_no_tool_can_be_called():
    driver = Driver(*[call("recall", f"key {number}") for number in range(9)])
    done = driver.run()
    assert len(driver.asked) == LIMITS.calls
    assert "calls" not in driver.asked[-1].schema["properties"]
    assert "calls" in driver.asked[-2].schema["properties"]
    assert (done.mode, done.reason) == ("extractive", UNREADABLE)
    assert done.text


def test_time_ends_it():
    driver = Driver(*[call("recall", "key")] * 9)
    driver.call_s = 7.0
    driver.run()
    assert len(driver.asked) == 3, "with 6 s of 20 left the model must answer"
    assert "calls" not in driver.asked[-1].schema["properties"]
    driver = Driver(call("recall", "key"), answer())
    driver.call_s = 30.0
    done = driver.run()
    assert (done.mode, done.reason, len(driver.asked)) == ("extractive", SPENT, 1)


def test_tokens_and_cost_end_it():
    driver = Driver(*[call("recall", "key")] * 9)
    driver.tokens = (20_000, 5_000)
    done = driver.run()
    assert (len(driver.asked), done.mode) == (3, "extractive")
    assert done.prompt_tokens + done.answer_tokens <= LIMITS.tokens + 25_000
    dear = replace(LIMITS, usd=0.0001, prompt_usd=10.0, answer_usd=30.0)
    done = Driver(answer(), limits=dear).run()
    assert (done.mode, done.reason, done.models) == ("extractive", SPENT, ())


def test_tool_calls_end():
    many = {"calls": [{"tool": "recall", "query": f"q{n}", "ids": None} for n in range(8)], "answer": None, "used": []}
    driver = Driver(many, many, answer(), limits=replace(LIMITS, tool_calls=6, calls=9))
    done = driver.run()
    made = [traced for traced in done.tools if not traced.answer.problem]
    assert len(made) == 6
    assert "6 calls are the most" in done.tools[-1].answer.problem
    assert len(driver.asked) == 2, "nothing is left to look for"


def test_evidence_is_bounded_and_told_to_be():
    driver = Driver(answer(), limits=replace(LIMITS, evidence_tokens=70))
    done = driver.run()
    assert len(done.seen) == 2
    assert "left_out_for_want_of_room" in driver.asked[0].messages[-1]["content"]


def test_a_piece_is_shown_once():
    driver = Driver(call("recall", "again"), answer())
    driver.found = lambda call: (Piece("same", "memory", "the same words", 5),)  # type: ignore[method-assign]  # one answer for one test
    driver.run()
    assert "".join(message["content"] for message in driver.asked[-1].messages).count("the same words") == 1


@pytest.mark.parametrize(
    "said",
    [
        "I would say it is hard to tell.",
        "",
        {"facts": []},
        {"calls": "recall", "answer": 7},
        ["a"],
        {"calls": [3], "answer": "  "},
        "{" * 5000,
    ],
)
def test_a_step_that_cannot_be_read_is_asked_for_again(said):
    driver = Driver(said, answer("There."))
    done = driver.run()
    assert done.text == "There."
    assert "that was no step" in driver.asked[1].messages[-1]["content"]


def test_answers_in_words_around_json_or_cut_off_are_read():
    assert Driver('Sure:\n```json\n{"calls":[],"answer":"There.","used":[]}\n```').run().text == "There."
    assert Driver('{"answer":"Under the p').run().text == "Under the p"


def test_labels_nobody_gave_are_no_evidence():
    done = Driver(answer("There.", "m5", "m99", "recall-4", "m5")).run()
    assert [piece.id for piece in done.based_on] == ["recall-4"]
    assert Driver(answer("There.", "m99")).run().based_on == Driver(answer("There.")).run().seen


def test_without_a_model_or_with_one_that_is_away_it_quotes_and_says_why():
    done = Driver(model=False).run()
    assert (done.mode, done.reason, done.models) == ("extractive", NO_MODEL, ())
    assert "text of recall-4" in done.text
    done = Driver(ModelAway("The language model does not answer (busy)", 0.0)).run()
    assert done.mode == "extractive"
    assert "does not answer (busy)" in done.text
    done = Driver(("", "refusal")).run()
    assert "refuses" in done.text


def test_structured_output_is_checked_and_repaired_once():
    question = replace(QUESTION, schema=SCHEMA)
    done = Driver(answer(), {"place": "pot"}, question=question).run()
    assert (done.structured, done.structured_error) == ({"place": "pot"}, None)
    driver = Driver(answer(), {"spot": "pot"}, {"place": "pot"}, question=question)
    assert driver.run().structured == {"place": "pot"}
    assert [wish.purpose for wish in driver.asked] == ["reflect", "structured", "repair"]
    assert "'place' is a required property" in driver.asked[-1].messages[-1]["content"]
    done = Driver(answer("There."), {"spot": 1}, "words", question=question).run()
    assert (done.text, done.structured) == ("There.", None)
    assert "object" in (done.structured_error or "")
    done = Driver(answer("There."), ModelAway("gone", 0.0), question=question).run()
    assert (done.text, done.structured) == ("There.", None)
    done = Driver(question=question, model=False).run()
    assert done.structured is not None


def test_budgets_are_shares():
    whole = Limits(calls=9, tool_calls=27, tokens=90_000, evidence_tokens=9000)
    assert [limits_of(budget, whole).calls for budget in ("low", "mid", "high")] == [3, 6, 9]
    assert limits_of("low", whole).tokens == 30_000
    assert limits_of("low", whole).seconds == whole.seconds


_KEYS = st.sampled_from(["calls", "answer", "used", "tool", "query", "ids", "x"])
_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8))
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4), max_leaves=12
)
_SAID = st.lists(st.text(max_size=200) | st.builds(json.dumps, _JSON), min_size=20, max_size=20)


@given(_SAID)
def test_whatever_the_model_says_it_ends_with_an_answer_within_its_calls(said):
    driver = Driver(*said, question=replace(QUESTION, schema=SCHEMA))
    done = driver.run()
    assert done.text
    assert len(driver.asked) <= LIMITS.calls + 2
    assert len([traced for traced in done.tools if not traced.answer.problem]) <= LIMITS.tool_calls
