"""Which kind of explanation, Eq. (25), and its sentence without a language model.

    preference   "Casablanca" fits your taste for Drama (41 %) and War (12 %).
    similarity   "Casablanca" is like "Citizen Kane" and "Notorious", which you chose.
    context      "Casablanca" goes with what you had last: "Citizen Kane" and "Notorious".
                 "Casablanca" is on the rise: chosen 34 times in the last 30 days.
    none         "Casablanca" is recommended, but nothing known of it or of you says why.

The paper does not say what the three type weights are. Cosines and probabilities have no common
scale, so each weight here is a share of the user's candidates: of those for which the evidence of
this kind is weaker than for this item.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from llm4rec_recbole.components.explanation.context import TREND_DAYS

if TYPE_CHECKING:
    from llm4rec_recbole.components.explanation.evidence import Evidence


MOST_NAMED = 3  # of the item's aspects


class TypeWeights(NamedTuple):
    """How strong each kind of evidence is, 0 to 1; 0 where there is none."""

    preference: float
    similarity: float
    context: float


def type_weights(item: int, others: np.ndarray, *strengths: np.ndarray) -> TypeWeights:
    """The three weights of Eq. (25) for `item`.

    others: (M,) ids of the candidates it is compared with, without itself; strengths: for each
    kind (n_items,), how strong its evidence for each item is, NaN where it has none. A weight is
    the share of the others whose strength is lower, an equal one counting half and one without
    that evidence as lower; 0 where `item` has none, 1 where there are no others.
    """
    weights = []
    for strength in strengths:
        own, their = strength[item], strength[others]
        lower = np.isnan(their) | (their < own)
        share = (lower + 0.5 * (their == own)).mean() if len(others) else 1.0
        weights.append(0.0 if np.isnan(own) else float(share))
    return TypeWeights(*weights)


def choose_template(weights: TypeWeights) -> str:
    """Eq. (25): the kind with the largest weight, the first of equals; "none" where all are 0."""
    largest = int(np.argmax(weights))
    return weights._fields[largest] if weights[largest] > 0 else "none"


def template_sentence(evidence: Evidence) -> str:
    """The sentence of the evidence's template; it names nothing that is not in the evidence."""
    name, moment, days = evidence.name, evidence.context, TREND_DAYS
    match evidence.template:
        case "preference":
            likes = [f"{a.name} ({100 * a.weight:.0f} %)" for a in evidence.aspects if a.liked]
            return f"{name} fits your taste for {join_words(likes[:MOST_NAMED])}."
        case "similarity":
            return (
                f"{name} is like {join_words([c.name for c in evidence.similar])}, which you chose."
            )
        case "context" if moment.trend > moment.time:
            return f"{name} is on the rise: chosen {moment.recent} times in the last {days} days."
        case "context":
            latest = join_words([c.name for c in moment.latest])
            return f"{name} goes with what you had last: {latest}."
        case _:
            return f"{name} is recommended, but nothing known of it or of you says why."


def join_words(words: Sequence[str]) -> str:
    """`A`, `A and B`, or `A, B and C`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
