"""Evidence made by hand, for the tests of explanations."""

from __future__ import annotations

from collections.abc import Sequence

from llm4rec_recbole.components.explanation.evidence import (
    Aspect,
    CitedItem,
    Context,
    Counted,
    Evidence,
    Place,
    TypeWeights,
)


def make_evidence(
    title: str = "Toy Story",
    categories: Sequence[str] = ("Animation", "Comedy"),
    similar: Sequence[str] = ("Star Wars", "Babe"),
    latest: Sequence[str] = ("Apollo 13",),
    template: str = "similarity",
    trend: float = 0.0,
    place: Place | None = None,
) -> Evidence:
    """Evidence for item 7; similar items are numbered from 11, latest ones from 21.

    template: the kind with the largest weight. trend: attention of a trend of 24 choices, where 8
    are expected; with 0 there is none.
    """

    def cited(titles: Sequence[str], first: int) -> tuple[CitedItem, ...]:
        return tuple(
            CitedItem(str(first + n), name, 0.5 - n / 10, 0.01) for n, name in enumerate(titles)
        )

    aspects = tuple(Aspect(name, 0.41 - n / 4, 0.1) for n, name in enumerate(categories))
    context = Context(
        weights={"time": 1 - trend, "location": 0.1 if place else 0.0, "trend": trend},
        latest=cited(latest, 21),
        recent=Counted(24, 8.0, True) if trend else Counted(24, 20.0, False),
        place=place,
    )
    weights = {"preference": 0.2, "similarity": 0.25, "context": 0.3} | {template: 0.9}
    supported = {
        "preference": any(aspect.liked for aspect in aspects),
        "similarity": bool(similar),
        "context": bool(latest or place or trend),
    }
    return Evidence(
        user="3",
        item="7",
        title=title,
        aspects=aspects,
        similar=cited(similar, 11),
        context=context,
        weights=TypeWeights(*(weights[kind] * supported[kind] for kind in TypeWeights._fields)),
    )
