"""The caption of Table I: what a reader must know before trusting a number in it."""

from __future__ import annotations

from llm4rec_recbole.analysis.comparisons import LEVEL
from llm4rec_recbole.analysis.table_rows import OURS
from llm4rec_recbole.reporting.accuracy_rows import AccuracySection, Row
from llm4rec_recbole.reporting.run_notes import COMMON, run_notes


def notes(sections: list[AccuracySection]) -> list[str]:
    """The caption, a sentence or two an entry."""
    rows = [row for section in sections for row in section.rows]
    return [
        "Paper: as printed; the authors name no split and no ranking, and their data set is not "
        "the one our numbers are for unless the heading says so.",
        "Full: ranked among all items that the user has not seen. Uniform-100, Popular-100: among "
        "100 sampled negatives, the same for all methods; no claim rests on these.",
        *COMMON,
        *_adapted(rows),
        _tests(rows),
        *_detectable(sections),
        *run_notes(sections),
    ]


def _adapted(rows: list[Row]) -> list[str]:
    """What one method was allowed and the others were not."""
    if not any(row.method == OURS and row.records for row in rows):
        return []
    return [
        f"Every parameter is fitted on training interactions, but for {OURS}: its fifth component "
        "then learns from each user's validation item. The other methods read that item as part "
        "of the history, if they read histories. Table IV has the rows without it."
    ]


def _tests(rows: list[Row]) -> str:
    made = sum(len(row.tests) for row in rows)
    if not made:
        return "No test was made: that takes two methods with a run on the same data."
    return (
        f"*: differs from the best baseline of its column (last row; {OURS} is no baseline), "
        f"p < {LEVEL:g}: paired t test over users, Holm-adjusted over the {made} comparisons of "
        "this table. The differences, intervals and randomization tests are in comparisons.csv. "
        "The best baseline is found on the same users, so a mark on a baseline that is close to it "
        f"is given more often than the level says; {OURS}'s lead is only understated by that."
    )


def _detectable(sections: list[AccuracySection]) -> list[str]:
    found = []
    for section in sections:
        ranges = []
        for metric, name in (("hit@10", "HR@10"), ("ndcg@10", "NDCG@10")):
            column = ("full", metric)
            sizes = [row.tests[column].smallest_detectable for row in section.rows
                     if column in row.tests]  # fmt: skip
            if sizes:
                ends = sorted({f"{min(sizes):.3f}", f"{max(sizes):.3f}"})
                ranges.append(f"{' to '.join(ends)} in {name}")
        if ranges:
            found.append(
                f"{section.dataset}, {section.protocol}: with {section.users} users one test at "
                f"the {100 * LEVEL:g} % level finds a full-ranking difference of "
                f"{' and '.join(ranges)}, by method, with 80 % power; smaller ones may go "
                "unnoticed."
            )
    return found
