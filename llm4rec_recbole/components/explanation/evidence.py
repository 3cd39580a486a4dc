"""Evidence for an item, and the clauses of a sentence that it supports.

`Evidence` has raw ids and names, to be read and printed. Only what passes its test is evidence:

    category       its share of the user's taste is 1.25 times its share of the catalogue, or more
    similar item   it is among the item's three nearest, or the nearest twentieth of all
    trend, place   Frequency.exceeds: the item was chosen far more often than expected

Each kind of evidence has a clause:

    preference  "Casablanca" fits your taste for Drama (41 %) and War (12 %).
    similarity  "Casablanca" is like "Citizen Kane" and "Notorious", which you chose.
    time        "Casablanca" is like "Citizen Kane" and "Notorious", among your latest choices.
    location    "Sal's" is in Reno, NV, where 12 of your 20 choices are.
                "Casablanca" is chosen more than usual in your region (zip code 9…): 34 times, where
                other regions predict 12.
    trend       "Casablanca" is on the rise: chosen 34 times in the last 30 days, where its earlier
                share predicts 12.
    none        "Casablanca" is recommended, but the data give no reason.

The strongest kind of evidence chooses the template (25): kinds are ordered by their weights, and
time, location and trend by their attention (23).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from llm4rec_recbole.components.explanation.context import TREND_DAYS

LIKED = 1.25  # times its share of the catalogue: a category with that share of the taste is liked


class TypeWeights(NamedTuple):
    """How strong each kind of evidence is, 0 to 1; 0 where there is none."""

    preference: float
    similarity: float
    context: float


def type_weights(item: int, others: np.ndarray, *strengths: np.ndarray) -> TypeWeights:
    """The three weights of Eq. (25) for `item`, which the paper does not define.

    others: (M,) ids of the other candidates; strengths: for each kind (n_items,), how strong its
    evidence for each item is, NaN where there is none. Cosines and probabilities have no common
    scale. So a weight is the fraction of the other candidates with weaker evidence of this kind. An
    equal strength counts half. The weight is 0 without evidence, and 1 without other candidates.
    """
    weights = []
    for strength in strengths:
        item_strength, other_strengths = strength[item], strength[others]
        lower = np.isnan(other_strengths) | (other_strengths < item_strength)
        fraction = (lower + 0.5 * (other_strengths == item_strength)).mean() if len(others) else 1.0
        weights.append(0.0 if np.isnan(item_strength) else float(fraction))
    return TypeWeights(*weights)


def choose_template(weights: TypeWeights) -> str:
    """Eq. (25): the kind with the largest weight, the first of equals; "none" where all are 0."""
    largest = int(np.argmax(weights))
    return weights._fields[largest] if weights[largest] > 0 else "none"


@dataclass(frozen=True)
class Aspect:
    """A category of the item."""

    name: str
    weight: float  # its share of the user's taste, p_uk of Eq. (19); 0 where the taste is unknown
    usual: float  # its share of the catalogue

    @property
    def liked(self) -> bool:
        """Whether the category is evidence."""
        return self.weight >= LIKED * self.usual


@dataclass(frozen=True)
class CitedItem:
    """An item of the user's history that is similar to the explained item."""

    item: str  # raw token
    title: str  # "" where it has none
    similarity: float  # the cosine, Eq. (21); above 0
    nearer: float  # share of the catalogue that is more similar to the explained item

    @property
    def name(self) -> str:
        return display_name(self.item, self.title)


@dataclass(frozen=True)
class Counted:
    """How often something was chosen, and how often that was expected."""

    count: int
    expected: float
    exceeds: bool  # Frequency.exceeds


@dataclass(frozen=True)
class Place:
    """The location of the item or of the user: see context.Nearby."""

    name: str
    chosen: Counted
    of: int
    is_city: bool


@dataclass(frozen=True)
class Context:
    """The context of Eq. (23)."""

    weights: dict[str, float]  # of attention, for each of PARTS; 0 for a part that is no evidence
    latest: tuple[CitedItem, ...]  # the user's latest items that are similar, last first
    recent: Counted  # choices of the item in the 30 days before
    place: Place | None


@dataclass(frozen=True)
class Evidence:
    """The evidence for `item`; a part is empty where data set or history have nothing for it."""

    user: str
    item: str
    title: str
    aspects: tuple[Aspect, ...]  # all aspects of the item, the user's favourites first
    similar: tuple[CitedItem, ...]  # the most similar first
    context: Context
    weights: TypeWeights  # of Eq. (25)

    @property
    def template(self) -> str:
        """ "preference", "similarity", "context" or "none"."""
        return choose_template(self.weights)

    @property
    def name(self) -> str:
        return display_name(self.item, self.title)

    @property
    def likes(self) -> tuple[str, ...]:
        """The categories that are evidence for the item, the most liked first."""
        return tuple(aspect.name for aspect in self.aspects if aspect.liked)

    @property
    def cited(self) -> tuple[CitedItem, ...]:
        """The items of the history that a sentence may name."""
        return (*self.similar, *self.context.latest)

    @property
    def names(self) -> tuple[str, ...]:
        """The item names that a sentence may use: of the item itself and of the cited items."""
        return tuple(dict.fromkeys([self.name, *(c.name for c in self.cited)]))


def display_name(token: str, title: str) -> str:
    """Return an item's title in quotation marks, or `item 7` where it has no title."""
    return f'"{title}"' if any(map(str.isalnum, title)) else f"item {token}"


# Clauses: what a sentence may say, and which clause each item of a list gets.

MAX_ASPECTS = 3  # of the item's aspects in one sentence


class Clause(NamedTuple):
    """A part of a sentence that follows the item's name, and what it says of the item."""

    kind: str  # preference, similarity, time, location or trend
    text: str
    reason: frozenset[str]  # what it names; two items with the same one have the same reason
    cited: tuple[str, ...] = ()  # raw tokens of the items of the history that it names


Reason = tuple[Clause, ...]  # the clauses of one explanation


def clauses_of(evidence: Evidence) -> list[Clause]:
    """Return the clauses that the evidence supports, strongest first."""
    context = evidence.context
    kinds = evidence.weights._asdict()
    kinds |= {part: kinds["context"] * weight for part, weight in context.weights.items()}
    clauses = []
    if evidence.likes:
        likes = [a for a in evidence.aspects if a.liked][:MAX_ASPECTS]
        shares = join_words([f"{a.name} ({100 * a.weight:.0f} %)" for a in likes])
        names = frozenset(a.name for a in likes)
        clauses.append(Clause("preference", f"fits your taste for {shares}", names))
    if evidence.similar:
        text = f"is like {join_names(evidence.similar)}, which you chose"
        clauses.append(_citing("similarity", text, evidence.similar))
    if context.latest:
        text = f"is like {join_names(context.latest)}, among your latest choices"
        clauses.append(_citing("time", text, context.latest))
    if (place := context.place) is not None:
        if place.is_city:
            text = f"is in {place.name}, where {place.chosen.count} of your {place.of} choices are"
        else:
            numbers = f"{place.chosen.count} times, where other regions predict"
            text = (
                f"is chosen more than usual in your region ({place.name}): {numbers} "
                f"{place.chosen.expected:.0f}"
            )
        clauses.append(Clause("location", text, frozenset([place.name])))
    if context.recent.exceeds:
        text = (
            f"is on the rise: chosen {context.recent.count} times in the last {TREND_DAYS} days, "
            f"where its earlier share predicts {context.recent.expected:.0f}"
        )
        clauses.append(Clause("trend", text, frozenset(["trend"])))
    return sorted(clauses, key=lambda clause: -kinds[clause.kind])


def _citing(kind: str, text: str, items: Sequence[CitedItem]) -> Clause:
    return Clause(kind, text, frozenset(c.name for c in items), tuple(c.item for c in items))


def distinct_reasons(options: Sequence[Sequence[Clause]]) -> list[Reason]:
    """The reason of each item of a list, from the clauses that its evidence supports, strongest
    first.

    It is the strongest clause, unless another item of the list has the same reason. Then it is a
    weaker clause, or all of them. Two items share a reason only where all their clauses say the
    same.
    """
    unions = [_union(clauses) for clauses in options]
    used: set[frozenset[str]] = set()
    reasons = []
    for clauses, all_clauses in zip(options, unions):
        unavailable = used | {other for other in unions if other != all_clauses}
        candidates: list[Reason] = [(clause,) for clause in clauses]
        free = [reason for reason in candidates if _union(reason) not in unavailable]
        reason = free[0] if free else tuple(clauses)
        used.add(_union(reason))
        reasons.append(reason)
    return reasons


def _union(clauses: Sequence[Clause]) -> frozenset[str]:
    return frozenset().union(*(clause.reason for clause in clauses))


def template_sentence(evidence: Evidence, reason: Reason | None = None) -> str:
    """The sentence of a reason, one for each clause; None for the strongest clause."""
    if reason is None:
        reason = tuple(clauses_of(evidence)[:1])
    if not reason:
        return f"{evidence.name} is recommended, but the data give no reason."
    subjects = [evidence.name, *["It"] * (len(reason) - 1)]
    return " ".join(f"{subject} {clause.text}." for subject, clause in zip(subjects, reason))


def join_words(words: Sequence[str]) -> str:
    """Return `A`, `A and B`, or `A, B and C`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def join_names(items: Sequence[CitedItem]) -> str:
    """Return the items' names as a list."""
    return join_words([item.name for item in items])
