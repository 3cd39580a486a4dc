"""What the null ladder shows: which part of a method has no effect beyond its null.

Every method that claims a language model, text, retrieval, debiasing or adaptation has nulls:
properties/nulls.yaml. The whole is judged against the best null, the one with the best validation
NDCG@10. A part is judged against the best of its own nulls, by the same rule, in NDCG@10 of the
full ranking:

    has an effect   the method is above the null, Holm's p below .05
    costs accuracy  it is below, Holm's p below .05
    no effect       the null ties it

Holm's adjustment runs over all comparisons with nulls (tables table_1_nulls of comparisons.csv).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm4rec_recbole.analysis.compare import LEVEL, Comparison, Runs, best_on_validation
from llm4rec_recbole.registry import nulls

METRIC = "ndcg@10"
Effect = Literal["has an effect", "costs accuracy", "no effect"]


@dataclass(frozen=True)
class Rung:
    """One part of a method on one data set and protocol, against the best of its nulls."""

    method: str
    part: str
    null: str
    effect: Effect
    comparison: Comparison

    def __str__(self) -> str:
        c = self.comparison
        return (
            f"{c.dataset}, {c.protocol}: {self.part} of {self.method}: {self.effect} beside "
            f"{self.null} ({c.difference:+.4f} [{c.low:+.4f}, {c.high:+.4f}], p {c.p_holm:.2g})"
        )


def rungs(comparisons: Sequence[Comparison], runs: Runs) -> list[Rung]:
    """The parts whose nulls ran, in the order of properties/nulls.yaml.

    comparisons, runs: of one data set and protocol.
    """
    tests = {
        (c.method, c.baseline): c
        for c in comparisons
        if c.table == "table_1_nulls" and (c.ranking, c.metric) == ("full", METRIC)
    }
    ladder: dict[tuple[str, str], list[str]] = {}
    for null, its in nulls().items():
        for method in its["of"]:
            if (method, null) in tests:
                ladder.setdefault((method, its["part"]), []).append(null)
    found = []
    for (method, part), names in ladder.items():
        best = best_on_validation(runs, names)
        if best is not None:
            test = tests[method, best]
            found.append(Rung(method, part, best, effect(test), test))
    return found


def effect(test: Comparison) -> Effect:
    """What one comparison with a null shows."""
    if test.p_holm >= LEVEL:
        return "no effect"
    return "has an effect" if test.difference > 0 else "costs accuracy"
