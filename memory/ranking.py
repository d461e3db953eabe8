"""Score candidates: the lanes' scores fused, then what order, document, speaker, role and time say beside them.

Every signal asks for something only some banks have, and is silent where it is not there: a bank of notes without
speakers, times or neighbours is ranked by fusion alone.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from memory import signals
from memory.fusion import fuse
from memory.late import Columns, blend, z_rows
from memory.query import Understood
from memory.recipes import Recipe, Signals
from memory.store_calls import Hits

Column = NDArray[np.float64]


def rank(hits: Hits, understood: Understood, recipe: Recipe, matches: Columns | None = None) -> Column:
    """Scores of the candidates, in deviations of the fused lanes, float64, (n,). Equal input gives equal scores.

    matches: of the candidates' token vectors with the query's, as memory.late.match_tokens; None: there are none.
    """
    fused = fuse([(recipe.semantic_weight, hits.semantic), (recipe.keyword_weight, hits.keyword)])
    if matches is not None and recipe.late:
        fused = blend(fused, z_rows(matches).sum(axis=0), recipe.late)
    weights = recipe.signals
    if weights == Signals() or not hits.ids:
        return fused
    shares = signals.read_shares(hits.payloads)
    agents = signals.read_agents(hits.payloads)
    asking = signals.read_questions(hits.payloads)
    if understood.several:
        weights = _less_context(weights)
    scores = _from_neighbours(fused, hits, shares, asking, weights)
    return (
        scores
        + _from_speakers(hits, understood, agents, weights)
        + _from_time(hits, understood, shares, weights)
        + _from_codes(hits, understood, weights)
        - _from_asking(hits, asking, agents, weights)
    )


def _less_context(weights: Signals) -> Signals:
    """Several things are told in several places: what answers a question for them stands less often side by side."""
    kept = weights.several
    return replace(
        weights,
        previous=weights.previous * kept,
        following=weights.following * kept,
        session=weights.session * kept,
    )


def _from_neighbours(fused: Column, hits: Hits, shares: Column, asking: signals.Flags, weights: Signals) -> Column:
    """A reply holds what its question names, and a good session more of the same."""
    layout = signals.read_layout(hits.payloads)
    answers = (layout.previous >= 0) & asking[layout.previous]
    before = (weights.previous + weights.answered * answers) * signals.share(fused, layout.previous)
    after = weights.following * signals.share(fused, layout.following)
    scores = fused + shares * (before + after)
    return scores + weights.session * signals.mean_of_best(scores, layout.document)


def _from_speakers(hits: Hits, understood: Understood, agents: signals.Flags, weights: Signals) -> Column:
    """Whom the query names; in a chat with an agent, whether it asks for the asker's words or for the agent's."""
    found = np.zeros(len(hits.ids))
    if understood.speakers and weights.speaker:
        named = signals.read_speakers(hits.payloads, understood.speakers)
        found += weights.speaker / len(understood.speakers) * named
    if weights.person and agents.any():
        if understood.addressed:
            found += weights.person * agents
        elif understood.first_person:
            found += weights.person * ~agents
    return found


def _from_time(hits: Hits, understood: Understood, shares: Column, weights: Signals) -> Column:
    found = np.zeros(len(hits.ids))
    if understood.periods and weights.date:
        times = signals.read_times(hits.payloads)
        closeness = [period.closeness(times) for period in understood.periods]
        found += weights.date * np.max(closeness, axis=0)
    if understood.asks_when and weights.when:
        found += weights.when * shares * signals.read_tellings(hits.payloads)
    return found


def _from_codes(hits: Hits, understood: Understood, weights: Signals) -> Column:
    """An order number stands for one thing; where most of the candidates hold it, it tells none apart."""
    found = np.zeros(len(hits.ids))
    if understood.codes and weights.code:
        for code in understood.codes:
            holding = signals.read_holding(hits.payloads, code)
            found += weights.code / len(understood.codes) * (1.0 - holding.mean()) * holding
    return found


def _from_asking(hits: Hits, asking: signals.Flags, agents: signals.Flags, weights: Signals) -> Column:
    """Among people a turn that ends in a question rarely tells anything; what is asked of an agent often does."""
    if agents.any():
        return np.zeros(len(hits.ids))
    return np.where(asking & signals.read_spoken(hits.payloads), weights.question, 0.0)
