"""What a sentence may say of an item, clause by clause, and which clause each item of a list gets.

    preference  "Casablanca" fits your taste for Drama (41 %) and War (12 %).
    similarity  "Casablanca" is like "Citizen Kane" and "Notorious", which you chose.
    time        "Casablanca" is like "Citizen Kane" and "Notorious", among your latest choices.
    location    "Sal's" is in Reno, NV, where 12 of your 20 choices are.
                "Casablanca" is chosen more than usual in your region (zip code 9…): 34 times, where
                other regions predict 12.
    trend       "Casablanca" is on the rise: chosen 34 times in the last 30 days, where its earlier
                share predicts 12.
    none        "Casablanca" is recommended, but the data give no reason.

A clause exists only where its number passes the test in evidence.py. The kinds are ordered by their
weights (25), and time, location and trend by their attention (23).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llm4rec_recbole.components.explanation.context import TREND_DAYS
from llm4rec_recbole.components.explanation.evidence import CitedItem, Evidence

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
    wholes = [_union(clauses) for clauses in options]
    used: set[frozenset[str]] = set()
    reasons = []
    for clauses, whole in zip(options, wholes):
        taken = used | {other for other in wholes if other != whole}
        candidates: list[Reason] = [(clause,) for clause in clauses]
        free = [reason for reason in candidates if _union(reason) not in taken]
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
