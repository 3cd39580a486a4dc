"""Table II: diversity, coverage, novelty and fairness of the recommended lists."""

from __future__ import annotations

from collections.abc import Sequence

from llm4rec_recbole.analysis.compare import LEVEL, Comparison
from llm4rec_recbole.analysis.fairness_null import NullRange
from llm4rec_recbole.reporting.tables.record_table import Measure, RecordTable
from llm4rec_recbole.reporting.tables.rows import COMMON, AccuracySection, run_notes

TABLE = RecordTable(
    name="Table II",
    label="tab:diversity",
    title="Diversity and fairness: the paper's numbers and ours",
    of="beyond_accuracy",
    measures=(
        Measure("intra_list_diversity@10", "intra_list_diversity", "ILD@10", "ILD", 3),
        Measure("coverage@100", "coverage@100", "Cov@100", "Cov@100", 3),
        Measure("novelty@10", "novelty", "Novelty@10", "Novelty", 3),
        Measure("fairness@10", "fairness", "Fairness@10", "Fairness", 3),
    ),
)


def notes(
    sections: list[AccuracySection], tests: Sequence[Comparison], chances: Sequence[NullRange] = ()
) -> list[str]:
    """The caption: what each column measures, since the paper does not say."""
    return [
        "Paper: as printed; the paper gives no formulas, and one set of numbers for three data "
        "sets, so a number of theirs and one of ours need not measure the same thing.",
        "All four lie between 0 and 1, more is better. Lists: full ranking, seen items left out.",
        "ILD@10: mean cosine distance between the categories of two of the first ten items. "
        "Cov@100: the share of the catalogue that stands in anybody's first hundred; as many "
        "users as there are can fill only so much of it. Novelty@10: mean self-information of the "
        "first ten, from how many training users know an item, 1 where only one does. Fairness@10: "
        "the mean of two parts, how equal NDCG@10 is between groups of users (gender, age, "
        "occupation, where known) and how equal exposure is between categories of items; where "
        "only one is known, that one. The run records hold each.",
        *_fairness_of(sections),
        "n/a: the data set names neither categories nor two groups of users.",
        "More is not better by itself: random lists are diverse, novel and cover everything.",
        *_by_chance(sections, chances),
        *_tested(sections, tests),
        *COMMON,
        *run_notes(sections),
    ]


def _fairness_of(sections: list[AccuracySection]) -> list[str]:
    """What fairness does not compare, by data set and protocol, and where that differs by run."""
    found = []
    for section in sections:
        told = {record.fairness_of for row in section.rows for record in row.records}
        told.discard(frozenset())  # older records do not say
        if len(told) > 1:
            named = "; ".join(sorted(", ".join(sorted(parts)) for parts in told))
            found.append(f"{section.place}: Fairness@10 differs in its parts by run: {named}.")
        elif told:
            (parts,) = told
            if not parts - {"category"}:
                missing, left = "two groups of users", "items"
            elif "category" not in parts:
                missing, left = "categories of items", "users"
            else:
                continue
            alone = f"Fairness@10 is the {left}' part alone"
            found.append(f"{section.place}: no {missing} are known; {alone}.")
    return found


def _by_chance(sections: list[AccuracySection], chances: Sequence[NullRange]) -> list[str]:
    """Whether the users' part of fairness tells anything, by data set and protocol.

    Only runs that the table shows count; where no range was computed, nothing is said of it.
    """
    found = []
    for section in sections:
        shown = {row.method for row in section.rows if row.records}
        runs = [c for c in chances if (c.dataset, c.protocol) == (section.dataset, section.protocol)
                and c.method in shown]  # fmt: skip
        if not runs:
            continue
        methods = {run.method for run in runs}
        below = sorted({run.method for run in runs if run.users_part < run.low})
        named = f" ({', '.join(below)})" if below else ""
        measured, lows, highs = (
            [getattr(r, k) for r in runs] for k in ("users_part", "low", "high")
        )
        found.append(
            f"{section.place}: the users' part of Fairness@10 is {min(measured):.2f} to "
            f"{max(measured):.2f}; were groups dealt to the {section.users} users at random, it "
            f"would be {min(lows):.2f} to {max(highs):.2f} (95 % of {runs[0].shuffles} shuffles, "
            f"by method). It is below its method's range for {len(below)} of {len(methods)} "
            f"methods{named}; that of the others lies no further from 1 than chance puts it."
        )
    return found


def _tested(sections: list[AccuracySection], tests: Sequence[Comparison]) -> list[str]:
    names = {measure.key: measure.name for measure in TABLE.measures}
    found = {f"{t.dataset}, {t.protocol}: {names[t.metric]} {t.baseline}" for t in tests}
    missing = [
        f"{section.place}: {names[metric]}{left_out}"
        for section in sections
        for metric in names
        if (left_out := _untested(section, metric, tests)) is not None
    ]
    marks = (
        f"*: differs from the best baseline of its column ({'; '.join(sorted(found))}), p < "
        f"{LEVEL:g}: paired t test over users, Holm-adjusted over the {len(tests)} comparisons of "
        "this table. Cov@100 and Fairness@10 are numbers of a whole run: there, a z test whose "
        "standard error comes from swapping the two methods' lists for random users."
    )
    return [
        *([marks] if tests else []),
        *([f"Not tested: {'; '.join(missing)}."] if missing else []),
    ]


def _untested(section: AccuracySection, metric: str, tests: Sequence[Comparison]) -> str | None:
    """Which methods with a number of `metric` were not tested, "" for all; None for none."""
    place = (section.dataset, section.protocol, metric)
    made = [t for t in tests if (t.dataset, t.protocol, t.metric) == place]
    compared = {method for t in made for method in (t.method, t.baseline)}
    numbered = [
        row.method
        for row in section.rows
        if any(record.beyond_accuracy[metric] is not None for record in row.records)
    ]
    left_out = [method for method in numbered if method not in compared]
    if not made:
        return "" if len(numbered) > 1 else None
    return f" of {', '.join(left_out)}" if left_out else None
