"""The tools of a reflection: their names, what the model is told of them, and which calls are refused."""

from collections.abc import Mapping

from memory.reflecting.port import Question, ToolCall

SEARCH_MENTAL_MODELS = "search_mental_models"
SEARCH_OBSERVATIONS = "search_observations"
RECALL = "recall"
EXPAND = "expand"
READ_DOCUMENT = "read_document"

MEANINGS: Mapping[str, str] = {
    SEARCH_MENTAL_MODELS: "(query) standing answers to standing questions: look here first",
    SEARCH_OBSERVATIONS: "(query) what was concluded from several facts",
    RECALL: "(query) facts and what was said, the nearest to the query; name people and things, not pronouns",
    EXPAND: "(ids: labels of memories) what was said just before and after them, and what facts were drawn from",
    READ_DOCUMENT: "(ids: label of one memory) the document it comes from, from its beginning",
}
SEARCHING = frozenset({SEARCH_MENTAL_MODELS, SEARCH_OBSERVATIONS, RECALL})
"""Tools that take a query; the others take labels."""


def tools_of(question: Question, *, mental_models: bool, observations: bool) -> dict[str, str]:
    """The tools for a question in a bank that has mental models, observations, or neither."""
    left_out = set[str]()
    if not (mental_models and question.use_mental_models):
        left_out.add(SEARCH_MENTAL_MODELS)
    if not observations:
        left_out.add(SEARCH_OBSERVATIONS)
    return {name: meaning for name, meaning in MEANINGS.items() if name not in left_out}


def first_calls(question: Question, tools: Mapping[str, str]) -> tuple[ToolCall, ...]:
    """What is looked up before the model is asked at all: every search, in the order of the tools."""
    query = f"{question.query}\n{question.context}" if question.context else question.query
    return tuple(ToolCall(name, query) for name in tools if name in SEARCHING)


def refusal(call: ToolCall, tools: Mapping[str, str], unknown: tuple[str, ...]) -> str:
    """Why a call is not made; empty: it is. unknown: labels it names that were never shown."""
    if call.tool not in tools:
        return f"there is no tool {call.tool!r}"
    if call.tool in SEARCHING:
        return "" if any(map(str.isalnum, call.query)) else "a query is needed"
    if unknown:
        return f"nothing was shown under the label {unknown[0]!r}"
    return "" if call.ids else "ids is needed: labels of memories that were shown"
