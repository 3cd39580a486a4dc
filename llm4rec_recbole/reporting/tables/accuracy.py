"""Table I, the paper's accuracy and ours side by side; accuracy with few interactions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llm4rec_recbole.analysis.compare import METRICS
from llm4rec_recbole.analysis.paired_tests import ONE_SEED
from llm4rec_recbole.analysis.paper.paper_tables import (
    METRIC_NAMES,
    OURS,
    RANKING_NAMES,
    group_of,
    row_label,
)
from llm4rec_recbole.analysis.significance import LEVEL, MARGIN
from llm4rec_recbole.evaluation.record_reader import Runs
from llm4rec_recbole.evaluation.users_file import averaged, per_seed_values, read_users
from llm4rec_recbole.reporting.tables.notes import COMMON, further_of, run_notes, test_notes
from llm4rec_recbole.reporting.tables.render import NONE, Cell, Section, Table, column, number
from llm4rec_recbole.reporting.tables.rows import (
    COLUMNS,
    AccuracySection,
    Column,
    Row,
    group_starts,
    row_key,
    size_of,
    table_section,
    to_csv_text,
)

if TYPE_CHECKING:
    import pandas as pd


DECIMALS = 3  # as the paper prints


def build(sections: list[AccuracySection]) -> Table:
    """Table I for people; the best of a column is bold, the second best underlined."""
    columns = [("", "Method")]
    columns += [("Paper", METRIC_NAMES[metric]) for metric in METRICS]
    columns += [(RANKING_NAMES[ranking], METRIC_NAMES[metric]) for ranking, metric in COLUMNS]
    columns += [(f"{OURS} is", METRIC_NAMES["ndcg@10"]), ("", "Runs")]
    return Table(
        name="Table I",
        label="tab:accuracy",
        title="Accuracy: the paper's numbers and ours",
        columns=columns,
        sections=[table_section(s, _columns(s.rows)) for s in sections],
        notes=notes(sections),
    )


def to_csv(sections: list[AccuracySection]) -> str:
    """Table I for programs: one line for each row, empty where there is no number.

    `<ranking>_<metric>` is ours, with `_sd` over seeds. `full_<metric>_p_holm` belongs to the
    difference from the method `full_<metric>_compared_with`, which `_conclusion` puts in words.
    """
    names = [f"paper_{metric}" for metric in METRICS]
    for ranking, metric in COLUMNS:
        tests = ("_p_holm", "_compared_with", "_conclusion") if ranking == "full" else ()
        names += [f"{ranking}_{metric}{end}" for end in ("", "_sd", *tests)]
    rows = [_csv_row(section, row) for section in sections for row in section.rows]
    return to_csv_text(names, rows)


def notes(sections: list[AccuracySection]) -> list[str]:
    """The caption, a sentence or two an entry."""
    rows = [row for section in sections for row in section.rows]
    return [
        "Paper: as printed. The authors name no split and no ranking. Their data set is not the "
        "one of our numbers unless the heading says so.",
        "Full: ranked among all items that the user has not seen. Uniform-100, Popular-100: among "
        "100 sampled negatives, the same for all methods. Sampled rankings are shown without "
        "tests: no claim rests on them.",
        *COMMON,
        *_adapted(rows),
        *_tests(sections),
        *(section.time_note for section in sections if section.time_note),
        *_detectable(sections),
        *run_notes(sections),
    ]


def _adapted(rows: list[Row]) -> list[str]:
    """What EnhancedGenRec learns from and the other methods do not."""
    if not any(row.method == OURS and row.records for row in rows):
        return []
    return [
        f"All parameters are fitted on training interactions, with one exception: {OURS}'s fifth "
        "component also learns from validation items. Before it ranks a test user it has learned "
        "only from those that lie before the user's test. Other methods that read histories read "
        "the user's own validation item as part of the history. Table IV has the rows without "
        "adaptation."
    ]


def _tests(sections: list[AccuracySection]) -> list[str]:
    tests = [test for s in sections for row in s.rows for test in row.tests.values()]
    count = Counter(test.table for test in tests)
    if not tests:
        return [f"No test was made: that takes a run of {OURS} and one of a baseline."]
    references = "; ".join(f"{s.setting}: {s.reference}" for s in sections if s.reference)
    sentences = test_notes(count["table_1"], "the best null", further_of(tests))
    if count["table_1"]:
        sentences.append(
            "The best null is the reference or null with the highest validation NDCG@10 "
            f"({references}). comparisons.csv has differences, intervals and randomization tests."
        )
    if count["table_1_nulls"]:
        sentences.append(
            f"* in the row of another null: p < {LEVEL:g}, Holm-adjusted over the comparisons "
            "with nulls."
        )
    if count["table_1"] or count["table_1_nulls"]:
        sentences.append(
            f"{OURS} is: better or worse by Holm's p. Else it is equivalent, where two one-sided "
            f"tests show a margin of at most {100 * MARGIN:g} % of the row. Else it is undecided, "
            "with the users and seeds that would decide it."
        )
    return sentences


def _detectable(sections: list[AccuracySection]) -> list[str]:
    sentences = []
    for section in sections:
        ranges = []
        for metric in METRICS:
            tested: Column = ("full", metric)
            sizes = [row.tests[tested].smallest_detectable for row in section.rows
                     if tested in row.tests]  # fmt: skip
            if sizes:
                ends = sorted({f"{min(sizes):.3f}", f"{max(sizes):.3f}"})
                ranges.append(f"{' to '.join(ends)} in {METRIC_NAMES[metric]}")
        if ranges:
            sentences.append(
                f"{section.setting}: with {section.users} users, one test at the {100 * LEVEL:g} % "
                f"level has 80 % power for a full-ranking difference of {' and '.join(ranges)}. "
                "The difference depends on the method. Smaller ones may be missed."
            )
    return sentences


def _csv_row(section: AccuracySection, row: Row) -> dict[str, str | int]:
    values = row_key(section, row)
    values |= {f"paper_{metric}": printed for metric, printed in row.paper.items()}
    for end, numbers in (("", row.ours), ("_sd", row.deviation)):
        values |= {f"{r}_{m}{end}": f"{numbers[r, m]:.6f}" for r, m in COLUMNS
                   if (r, m) in numbers}  # fmt: skip
    for (ranking, metric), test in row.tests.items():
        values[f"{ranking}_{metric}_p_holm"] = f"{test.p_holm:.4g}"
        other = test.method if test.method != row.method else test.baseline
        values[f"{ranking}_{metric}_compared_with"] = other
        values[f"{ranking}_{metric}_conclusion"] = test.conclusion
    return values


def _columns(rows: list[Row]) -> list[list[Cell]]:
    columns = [column([row.paper.get(metric) for row in rows]) for metric in METRICS]
    for ours in COLUMNS:
        texts = [number(row.ours.get(ours), DECIMALS, row.deviation.get(ours)) for row in rows]
        marks = [ours in row.tests and row.tests[ours].significant for row in rows]
        columns.append(column(texts, marks=marks))
    return [*columns, [_conclusion(row) for row in rows]]


def _conclusion(row: Row) -> Cell:
    """What EnhancedGenRec is beside the row, such as "better", in NDCG@10 of the full ranking."""
    test = row.tests.get(("full", "ndcg@10"))
    if test is None or test.method != OURS:
        return Cell(NONE)
    outcome, one_seed, _ = test.conclusion.partition(ONE_SEED)
    return Cell((f"{outcome} (one seed)" if one_seed else outcome) or NONE)


# Accuracy for users and for test items with few training interactions.
#
# The counts are in <other_results>/training_counts.parquet, a row for each test user:
#
#     dataset                string    protocol loo
#     user                   string    raw token
#     user_interactions      int32     the user's training interactions
#     target_interactions    int32     all users' training interactions with the held-out item
#
# `python -m benchmarks.studies.few_interactions` writes them. So the table needs no data set.


FEW_INTERACTIONS, COUNTS_FILE = "few_interactions", "training_counts.parquet"
COUNTS = {"user_interactions": "users", "target_interactions": "test items"}
FEW = 5  # training interactions, at most


def read_counts(other_results: Path) -> pd.DataFrame | None:
    """The counts, ordered by data set and user; None where there is no such file."""
    import pandas as pd

    path = other_results / COUNTS_FILE
    if not path.is_file():
        return None
    return pd.read_parquet(path).sort_values(["dataset", "user"], kind="stable")


def build_few_interactions(
    datasets: Mapping[str, tuple[Path, Runs]], counts: pd.DataFrame
) -> Table:
    """A section for each data set that has counts of the same test users; a note names the others.

    datasets: as `datasets.table_runs` returns it.
    """
    columns = [("", "Method")]
    columns += [
        (f"{what} with {group}", METRIC_NAMES[metric])
        for what in COUNTS.values()
        for group in (f"≤ {FEW}", "more")
        for metric in METRICS
    ]
    sections, uncounted = [], []
    for dataset, (_, runs) in datasets.items():
        own_counts = counts[counts["dataset"] == dataset]
        users = read_users(next(iter(runs.values()))[0].users_path, ("user",))["user"]
        if sorted(users) == own_counts["user"].to_list():
            sections.append(_few_interactions_section(dataset, runs, own_counts))
        else:
            uncounted.append(dataset)
    return Table(
        name="Few interactions",
        label="tab:few-interactions",
        title="Accuracy where little is known",
        columns=columns,
        sections=sections,
        notes=[
            "Ranked among all items, protocol loo; means over seeds and the group's test users. "
            f"≤ {FEW}: that many training interactions of the user, or of the held-out item. "
            "Best of a column bold, second best underlined. –: the group is empty.",
            "No test: the groups were not planned, and a few hits decide the small ones.",
            *([f"No counts of the test users of {', '.join(uncounted)}."] if uncounted else []),
        ],
    )


def _few_interactions_section(dataset: str, runs: Runs, counts: pd.DataFrame) -> Section:
    values = averaged(per_seed_values(runs))
    is_few = {name: counts[name].to_numpy() <= FEW for name in COUNTS}
    methods = list(runs)
    cells = [[Cell(row_label(m, size_of(m, runs[m]))) for m in methods]]
    for name in COUNTS:
        for group in (is_few[name], ~is_few[name]):
            for metric in METRICS:
                means = [
                    float(values[m]["full", metric][group].mean()) if group.any() else None
                    for m in methods
                ]
                cells.append(column([number(mean, 3) for mean in means]))
    sizes = " and ".join(f"{int(is_few[name].sum()):,} {what}" for name, what in COUNTS.items())
    groups = [group_of(method) for method in methods]
    return Section(
        f"{dataset}: of {len(counts):,}, {sizes} have at most {FEW} training interactions",
        [*map(list, zip(*cells))],
        groups=group_starts(groups),
    )
