"""Named, frozen recipes of recall: how many candidates each lane brings and how much each signal weighs."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

Budget = Literal["low", "mid", "high"]


@dataclass(frozen=True, slots=True)
class Signals:
    """Weights of what is known beside the lanes' scores, in deviations of those; 0 leaves a signal out.

    previous, following: share of the score of the unit before and after in the same document; answered: share more of
    the one before where that ends in a question; session: share of the mean of the document's best units; speaker: the
    query names who speaks; person: the query speaks of the asker, or to the agent; date: it names when; when: it asks
    when, and the unit tells a time; code: the unit holds a code that the query names, less if many do; question: taken
    off a unit that only asks; several: what previous, following and session are multiplied by if the query asks for
    several things.
    """

    previous: float = 0.0
    answered: float = 0.0
    following: float = 0.0
    session: float = 0.0
    speaker: float = 0.0
    person: float = 0.0
    date: float = 0.0
    when: float = 0.0
    code: float = 0.0
    question: float = 0.0
    several: float = 1.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """Candidates per lane by budget, weights of the z-scored lanes, and signals.

    late: share of late interaction in the fused score, where units have token vectors, for the `late_units` best of it.

    The best `seeds` of each lane bring their neighbours along, `reach` on each side in their document.
    """

    name: str
    candidates: dict[str, int]
    semantic_weight: float
    keyword_weight: float
    late: float = 0.0
    late_units: int = 0
    signals: Signals = field(default_factory=Signals)
    seeds: int = 0
    reach: int = 0


HYBRID = Recipe(
    name="hybrid",
    candidates={"low": 50, "mid": 100, "high": 300},
    semantic_weight=0.6,
    keyword_weight=0.4,
)
"""Weighted z-score fusion of the sentence vector (known names out of the query) and BM25 (names in)."""

CONTEXTUAL = replace(
    HYBRID,
    name="contextual",
    signals=Signals(
        previous=0.2,
        answered=0.3,
        following=0.2,
        session=0.3,
        speaker=2.5,
        person=1.0,
        date=2.5,
        when=1.0,
        code=2.5,
        question=0.8,
        several=0.5,
    ),
)
"""HYBRID with what callers give beside the text: order, document, speaker, role, time. What is not given has no say."""

WITH_NEIGHBOURS = replace(CONTEXTUAL, name="contextual-with-neighbours", seeds=20, reach=2)
"""CONTEXTUAL over what stands beside the best units too: it finds more in big banks, and takes a tenth longer."""

LATE = replace(WITH_NEIGHBOURS, name="late-interaction", late=0.6, late_units=100)
"""WITH_NEIGHBOURS, the fused score mostly by the words' own vectors."""

DEFAULT = LATE
WITHOUT_LATE = WITH_NEIGHBOURS


def _without(recipe: Recipe, part: str, **changed: Any) -> Recipe:
    return replace(recipe, name=f"{recipe.name}-without-{part}", **changed)


ABLATIONS = (
    *(
        _without(LATE, one.name, signals=replace(LATE.signals, **{one.name: getattr(Signals(), one.name)}))
        for one in fields(Signals)
    ),
    _without(LATE, "keywords", keyword_weight=0.0),
    _without(LATE, "vectors", semantic_weight=0.0),
    _without(LATE, "neighbours", seeds=0, reach=0),
)
"""LATE with one part left out, to measure what it brings."""


def recipe_of(name: str | None, *, reranking: bool) -> Recipe:
    """The recipe a request names; else the default one, or what comes closest to it in a bank without reranking."""
    return RECIPES[name] if name else DEFAULT if reranking else WITHOUT_LATE


RECIPES = {recipe.name: recipe for recipe in (HYBRID, CONTEXTUAL, WITH_NEIGHBOURS, LATE, *ABLATIONS)}
