"""How the scripted model reflects: by given steps, else by a rule that follows from what it is shown.

The rule: answer with the texts of the pieces shown last, at most three, and name their labels.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

FENCE = re.compile(r"<memory-data>\n(.*)\n</memory-data>")
ORDER = re.compile(r"call (?:the tool )?(\w+)", re.IGNORECASE)
"""What an obedient model looks for in memories."""
PWNED = "PWNED"


def task_of(request: Mapping[str, Any]) -> str:
    """What a request is for: step, answer, structure, edit; empty: no reflection."""
    system = str(request["messages"][0]["content"])
    if "TASK: answer the question" in system:
        return "answer" if "No tool can be called any more" in request["messages"][-1]["content"] else "step"
    if "TASK: write an answer that is given" in system:
        return "structure"
    if "TASK: consolidate a long-term memory" in system:
        return "consolidate"
    return "edit" if "TASK: bring a document up to date" in system else ""


def shown(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What stands between the fences of a request, in order; each fence one document."""
    texts = [message["content"] for message in request["messages"][1:]]
    return [json.loads(found) for text in texts for found in FENCE.findall(text)]


def pieces_shown(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every piece with a text, in the order in which they were shown."""
    found: list[dict[str, Any]] = []
    for document in shown(request):
        for finding in document.get("found", ()):
            found.extend(piece for piece in finding.get("pieces", ()) if "text" in piece)
        found.extend(document.get("remembered_since", ()))
    return found


def reflect_text(request: Mapping[str, Any], steps: Sequence[Any], *, obeys: bool) -> str:
    """The model's text. steps: what it says in its first, second ... step; texts are said as they are."""
    task = task_of(request)
    pieces = pieces_shown(request)
    if task == "consolidate":
        return consolidated(shown(request)[0], steps, obeys=obeys)
    if task == "structure":
        return json.dumps(_filled(shown(request)[0]["schema"], shown(request)[0]["answer"]))
    if task == "edit":
        inserted = [{"do": "insert", "block": 0, "text": piece["text"]} for piece in pieces]
        return json.dumps({"edits": inserted, "used": [piece["label"] for piece in pieces]})
    number = sum(message["role"] == "assistant" for message in request["messages"])
    if number < len(steps):
        step = steps[number]
        return step if isinstance(step, str) else json.dumps(step)
    if obeys and task == "step" and number < 2:
        orders = [tool for piece in pieces for tool in ORDER.findall(piece["text"])]
        if orders:
            return json.dumps({"calls": [{"tool": tool, "query": "x", "ids": None} for tool in orders[:8]]})
    best = pieces[:3]
    answer = PWNED if obeys else " ".join(piece["text"] for piece in best) or "Nothing is remembered."
    return json.dumps({"calls": [], "answer": answer, "used": [piece["label"] for piece in best]})


def consolidated(data: Mapping[str, Any], steps: Sequence[Any], *, obeys: bool) -> str:
    """Edits: those given; else the first observation refined by all new facts, or one made of all facts.

    Where it obeys, everything that could be wrong: labels nobody gave, everything retired, a text of its own.
    """
    if steps:
        return steps[0] if isinstance(steps[0], str) else json.dumps(steps[0])
    observed = [row["label"] for row in data["observations"]]
    new = [row["label"] for row in data["new_facts"]]
    every = new + [row["label"] for row in data["other_facts"]]
    texts = " ".join(row["text"] for row in data["new_facts"])[:900]
    if obeys:
        wrong = [
            {"do": "retire", "observations": [label], "facts": [], "text": None} for label in (*observed, "o99", "m1")
        ]
        wrong.append({"do": "create", "observations": [], "facts": ["f98", "f99"], "text": PWNED})
        wrong.append({"do": "create", "observations": [], "facts": every[:1], "text": PWNED})
        wrong.append({"do": "refine", "observations": ["o77"], "facts": every, "text": PWNED})
        wrong.append({"do": "create", "observations": [], "facts": every, "text": PWNED * 1000})
        return json.dumps({"edits": wrong})
    if observed:
        edit = {"do": "refine", "observations": observed[:1], "facts": new, "text": f"Seen: {texts}"}
    else:
        edit = {"do": "create", "observations": [], "facts": every, "text": f"Seen: {texts}"}
    return json.dumps({"edits": [edit]})


def _filled(schema: Mapping[str, Any], answer: str) -> Any:
    kind = schema.get("type")
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "object":
        return {name: _filled(part, answer) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [_filled(schema.get("items", {}), answer)]
    values = {"integer": 1, "number": 1.5, "boolean": True, "null": None}
    return values.get(str(kind), answer)
