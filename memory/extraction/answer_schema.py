"""The shape of a model's answer: what is asked for as a JSON schema, and what is read leniently by pydantic."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from memory.extraction.candidates import Category
from memory.records import UnitType

ENTITY_TYPES = ("person", "place", "organisation", "concept")
SCHEMA_NAME = "facts"

_FACT_TYPES = (UnitType.WORLD.value, UnitType.EXPERIENCE.value)
_CATEGORIES = tuple(category.value for category in Category)


def _one_of(allowed: tuple[str, ...], otherwise: str) -> BeforeValidator:
    """A word that is not allowed becomes `otherwise`: models without strict output invent some."""
    return BeforeValidator(lambda value: value if value in allowed else otherwise)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class NamedEntity(_Part):
    """Who or what a fact names."""

    name: str
    type: Annotated[Literal["person", "place", "organisation", "concept"], _one_of(ENTITY_TYPES, "concept")] = "concept"


class StatedClaim(_Part):
    """What a fact says of a slot; see `memory.extraction.candidates.Claim`."""

    subject: str
    attribute: str
    value: str | None = None
    holds: bool = True
    replaces: bool = True
    happened: bool = False


class GivenLabel(_Part):
    """A label of the bank's vocabulary and what it holds for a fact."""

    label: str
    value: str


class StatedFact(_Part):
    """A fact as a model states it."""

    text: str
    turns: list[int]
    quote: str | None = None
    type: Annotated[Literal["world", "experience"], _one_of(_FACT_TYPES, UnitType.WORLD.value)] = "world"
    category: Annotated[Category, _one_of(_CATEGORIES, Category.FACT.value)] = Category.FACT
    subject: str = ""
    when: str | None = None
    entities: list[NamedEntity] = []
    claims: list[StatedClaim] = []
    because: list[int] = []
    confidence: float = 0.7


class LabelledFact(StatedFact):
    """A fact of a bank that has labels."""

    labels: list[GivenLabel] = []


class AnsweredWindow(_Part):
    """What a model found in one window. `count` tells a whole list of facts from one that was cut off and mended."""

    id: str
    language: str | None = None
    facts: list[LabelledFact]
    count: int = -1


class _PlainWindow(AnsweredWindow):
    facts: list[StatedFact]  # type: ignore[assignment]  # narrower than its parent's


class _Answer(_Part):
    windows: list[AnsweredWindow]


class _PlainAnswer(_Part):
    windows: list[_PlainWindow]


def answer_schema(*, labels: bool) -> dict[str, Any]:
    """The JSON schema of an answer, in the subset that strict structured outputs take: everything is required."""
    schema = (_Answer if labels else _PlainAnswer).model_json_schema()
    defined = schema.pop("$defs")
    strict: dict[str, Any] = _strict(schema, defined)
    return strict


def _strict(node: Any, defined: Mapping[str, Any]) -> Any:
    """Definitions in their places, no titles, words or defaults, every property required and no other allowed."""
    if isinstance(node, list):
        return [_strict(each, defined) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _strict(defined[node["$ref"].rsplit("/", 1)[-1]], defined)
    plain = {key: value for key, value in node.items() if key not in {"title", "default", "description"}}
    if "properties" in plain:
        properties = {name: _strict(each, defined) for name, each in plain["properties"].items()}
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    if "anyOf" in plain and all(set(each) == {"type"} for each in plain["anyOf"]):
        return {"type": [each["type"] for each in plain["anyOf"]]}
    if "enum" in plain:
        return {"enum": plain["enum"], "type": "string"}
    return {key: _strict(value, defined) for key, value in plain.items()}
