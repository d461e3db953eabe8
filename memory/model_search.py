"""Which mental models speak to a question: by the words they share with it, rare ones counting more."""

import math
import re
from collections import Counter
from collections.abc import Sequence

from memory.mental_models import MentalModel

_WORD = re.compile(r"\w+")
_TITLE_WEIGHT = 2.0
"""Of words of the name and the standing question, against those of the content."""
_STEM_CHARS = 5
"""Words are compared by their first letters, so that endings do not keep them apart."""


def search_models(models: Sequence[MentalModel], query: str, limit: int) -> list[MentalModel]:
    """The models nearest to the query, best first; those that share no word with it are left out."""
    wanted = _stems(query)
    titles = [_stems(f"{model.name} {model.source_query}") for model in models]
    bodies = [_stems(model.content) for model in models]
    spread = Counter(stem for title, body in zip(titles, bodies, strict=True) for stem in title | body)
    scored: list[tuple[float, MentalModel]] = []
    for model, title, body in zip(models, titles, bodies, strict=True):
        score = 0.0
        for stem in wanted & (title | body):
            rarity = math.log(1 + (len(models) + 0.5) / spread[stem])
            score += rarity * (_TITLE_WEIGHT if stem in title else 1.0)
        if score > 0:
            scored.append((score, model))
    scored.sort(key=lambda row: (-row[0], row[1].id))
    return [model for _, model in scored[:limit]]


def _stems(text: str) -> frozenset[str]:
    words = (word for word in _WORD.findall(text.casefold()) if len(word) > 2)
    return frozenset(word[:_STEM_CHARS] for word in words)
