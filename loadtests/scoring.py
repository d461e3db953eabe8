"""Evidence metrics of one ranking, and their means; pure functions."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

ALL = "all"
"""Key of the mean over all questions, beside those of the categories."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One ranked result: the turns it carries, in order, and its price.

    A result with n turns takes n places of the ranking; one that names no turn takes one and brings no evidence.
    """

    turns: tuple[str, ...]
    price_tokens: float


Ranking = Sequence[Hit]
Metric = Callable[[Ranking, frozenset[str]], float]
Scores = Mapping[str, float]


def price_tokens(text: str) -> float:
    """Tokens of a text, at four characters each."""
    return len(text) / 4


def places(ranking: Iterable[Hit]) -> Iterator[str | None]:
    """The ranking one turn a place; None where a result names no turn."""
    for hit in ranking:
        yield from hit.turns or (None,)


def recall_at(count: int) -> Metric:
    """Share of the evidence turns in the first `count` places."""
    return lambda ranking, evidence: len(evidence.intersection(islice(places(ranking), count))) / len(evidence)


def hit_at(count: int) -> Metric:
    """1 if any evidence turn is in the first `count` places, else 0."""
    return lambda ranking, evidence: float(not evidence.isdisjoint(islice(places(ranking), count)))


def ndcg_at(count: int) -> Metric:
    """Discounted gain over the first `count` places, relative to the best order; a turn gains once."""

    def ndcg(ranking: Ranking, evidence: frozenset[str]) -> float:
        missing = set(evidence)
        gain = 0.0
        for place, turn in enumerate(islice(places(ranking), count)):
            if turn in missing:
                missing.remove(turn)
                gain += _discount(place)
        return gain / sum(_discount(place) for place in range(min(count, len(evidence))))

    return ndcg


def reciprocal_rank(ranking: Ranking, evidence: frozenset[str]) -> float:
    """One over the first place that holds an evidence turn; 0 without one."""
    found = (1 / place for place, turn in enumerate(places(ranking), start=1) if turn in evidence)
    return next(found, 0.0)


def recall_within(budget_tokens: float) -> Metric:
    """Share of the evidence turns in the results that fit, in order, into a token budget."""

    def recall(ranking: Ranking, evidence: frozenset[str]) -> float:
        found: set[str] = set()
        spent_tokens = 0.0
        for hit in ranking:
            spent_tokens += hit.price_tokens
            if spent_tokens > budget_tokens:
                break
            found.update(evidence.intersection(hit.turns))
        return len(found) / len(evidence)

    return recall


METRICS: Mapping[str, Metric] = {
    "R@5": recall_at(5),
    "R@10": recall_at(10),
    "R@20": recall_at(20),
    "nDCG@10": ndcg_at(10),
    "hit@10": hit_at(10),
    "MRR": reciprocal_rank,
    "T@512": recall_within(512),
    "T@1024": recall_within(1024),
    "T@2048": recall_within(2048),
}
"""What is printed, in order. R: evidence recall in k places; T: evidence recall within a token budget."""


def score(ranking: Ranking, evidence: frozenset[str]) -> Scores:
    """Every metric of one question; `evidence` is not empty."""
    return {name: metric(ranking, evidence) for name, metric in METRICS.items()}


def mean_scores(scored: Iterable[tuple[int, Scores]]) -> dict[str, dict[str, float]]:
    """Means by category, given as its number, and over ALL; nothing for no questions."""
    groups: dict[str, list[Scores]] = {}
    for category, scores in scored:
        groups.setdefault(ALL, []).append(scores)
        groups.setdefault(str(category), []).append(scores)
    return {
        group: {name: math.fsum(scores[name] for scores in members) / len(members) for name in METRICS}
        for group, members in sorted(groups.items())
    }


def _discount(place: int) -> float:
    return 1 / math.log2(place + 2)
