"""What the null ladder shows: which part of a method has no effect beyond its null.

Every method that claims a language model, text, retrieval, debiasing or adaptation has nulls:
properties/nulls.yaml. Each part, and the whole, is compared with its best null, which has
the highest validation NDCG@10. The test NDCG@10 of the full ranking decides (RULES). Holm's
adjustment runs over all comparisons with nulls (tables table_1_nulls of comparisons.csv).

A row of Tables IV and V is judged twice: by what the row adds to the row that it is compared with,
and by the nulls of its component. It has an effect only where both say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llm4rec_recbole.analysis.compare import best_on_validation
from llm4rec_recbole.analysis.paired_tests import ONE_SEED, Comparison
from llm4rec_recbole.analysis.paper.paper_tables import OURS, row_label
from llm4rec_recbole.analysis.significance import LEVEL
from llm4rec_recbole.evaluation.record_reader import Runs
from llm4rec_recbole.registry import nulls

METRIC = "ndcg@10"
Effect = Literal["has an effect", "costs accuracy", "no effect", "undecided"]

#: Each effect and its rule; the first that applies is given.
RULES: dict[Effect, str] = {
    "undecided": "one of the two methods is random and has one seed",
    "no effect": f"the null ties the method: Holm's p of the difference is {LEVEL:g} or more",
    "costs accuracy": f"the method is below the null, Holm's p below {LEVEL:g}",
    "has an effect": f"the method is above the null, Holm's p below {LEVEL:g}",
}


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
        if (c.table, c.ranking, c.metric) == ("table_1_nulls", "full", METRIC)
    }
    ladder: dict[tuple[str, str], list[str]] = {}
    for null, null_spec in nulls().items():
        for method in null_spec["of"]:
            if (method, null) in tests:
                ladder.setdefault((method, null_spec["part"]), []).append(null)
    steps = []
    for (method, part), names in ladder.items():
        best = best_on_validation(runs, names)
        if best is not None:
            test = tests[method, best]
            steps.append(Rung(method, part, best, effect(test), test))
    return steps


def effect(test: Comparison) -> Effect:
    """What one comparison with a null shows, by RULES."""
    if ONE_SEED in test.conclusion:
        return "undecided"
    if not test.significant:
        return "no effect"
    return "has an effect" if test.difference > 0 else "costs accuracy"


def effect_of_row(test: Comparison | None, rung: Rung | None) -> str:
    """The effect of a row of Table IV or V, with what decided it; "" without a comparison.

    test: the row less what it is compared with, NDCG@10; rung: its component against its nulls.
    """
    judged = [(effect(test), "ties the row that it is compared with")] if test is not None else []
    judged += [(rung.effect, f"ties {row_label(rung.null)}")] if rung is not None else []
    for name in ("costs accuracy", "no effect", "undecided", "has an effect"):
        for its_effect, why in judged:
            if its_effect == name:
                return f"{name} ({why})" if name == "no effect" else name
    return ""


def finding(steps: Sequence[Rung]) -> str:
    """What the ladder finds of EnhancedGenRec in one setting, in one or two sentences."""
    own_steps = [step for step in steps if step.method == OURS]
    if not own_steps:
        return "No null of a component was run."
    phrases = [
        f"{verdict} of {_listed(parts)}"
        for name, verdict in _PHRASES.items()
        if (parts := _parts(own_steps, name))
    ]
    sentence = f"In NDCG@10, the null ladder finds {'; '.join(phrases) or 'nothing'}"
    undecided = _parts(own_steps, "undecided")
    undecided_sentence = f" One seed leaves {_listed(undecided)} undecided." if undecided else ""
    return f"{sentence}.{undecided_sentence}"


_PHRASES: dict[Effect, str] = {
    "no effect": "no effect",
    "has an effect": "an effect",
    "costs accuracy": "a cost",
}
_ARTICLES = {"whole": "the whole model", "language model": "the language model"}


def _parts(steps: Sequence[Rung], name: Effect) -> list[str]:
    return [
        f"{_ARTICLES.get(step.part, step.part)} ({row_label(step.null)})"
        for step in steps
        if step.effect == name
    ]


def _listed(parts: Sequence[str]) -> str:
    """The parts with commas, and "and" before the last."""
    return " and ".join([*([", ".join(parts[:-1])] if parts[1:] else []), *parts[-1:]])
