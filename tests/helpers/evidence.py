"""Evidence made by hand, for the tests of explanations."""

from __future__ import annotations

from collections.abc import Sequence

from llm4rec_recbole.components.explanation.evidence import (
    Aspect,
    CitedItem,
    Evidence,
    RecentContext,
    TypeWeights,
)


def make_evidence(
    title: str = "Toy Story",
    categories: Sequence[str] = ("Animation", "Comedy"),
    similar: Sequence[str] = ("Star Wars", "Babe"),
    latest: Sequence[str] = ("Apollo 13",),
    template: str = "similarity",
    trend: float = 0.0,
) -> Evidence:
    """Evidence for item 7; history items are numbered from 11, chosen 24 times of late."""

    def cited(titles: Sequence[str]) -> tuple[CitedItem, ...]:
        return tuple(CitedItem(str(11 + n), name, 0.5 - n / 10) for n, name in enumerate(titles))

    return Evidence(
        user="3",
        item="7",
        title=title,
        aspects=tuple(Aspect(name, 0.41 - n / 4, 0.1) for n, name in enumerate(categories)),
        similar=cited(similar),
        context=RecentContext(1 - trend, cited(latest), trend, 24),
        weights=TypeWeights(0.2, 0.9, 0.3),
        template=template,
    )
