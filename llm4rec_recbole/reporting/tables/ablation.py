"""Tables IV and V: what each step of the ablation changes, and what each component adds alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llm4rec_recbole.analysis.compare import FILE, LEVEL, Comparison, Label, Setting
from llm4rec_recbole.analysis.paper import paper_methods, paper_numbers
from llm4rec_recbole.analysis.paper.paper_methods import BACKBONE, METRIC_NAMES, TABLES
from llm4rec_recbole.evaluation.metrics import mean_of_known
from llm4rec_recbole.evaluation.per_user import Values, per_user_values
from llm4rec_recbole.evaluation.records import (
    Failure,
    Record,
    by_method,
    read_failures,
    read_records,
)
from llm4rec_recbole.reporting.tables.render import NONE, Cell, Section, Table, column, number
from llm4rec_recbole.reporting.tables.rows import (
    AccuracySection,
    Column,
    Row,
    check_comparisons,
    row_key,
    run_notes,
    to_csv_text,
    without_record,
)

Printed = dict[tuple[str, str], str]
PAPER_DATA = "ml-25m"  # the one data set of the paper's ablation
COLUMNS_4, COLUMNS_5 = TABLES["table_4"][1], TABLES["table_5"][1]
CHANGES = [("full", "hit@10"), ("full", "ndcg@10")]  # shown; the others are in the CSV
PRINTED_5 = {"hit@10": "HR@10", "ndcg@10": "NDCG@10", "diversity": "Diversity"}


@dataclass(frozen=True)
class Ablation:
    """Tables IV and V of one data set and protocol."""

    table_4: AccuracySection
    table_5: AccuracySection
    backbone: dict[Column, float]  # its means; empty where it has no run


def read_ablations(
    results: Path,
    failures_folder: Path,
    paper: dict[str, Printed],
    comparisons: Sequence[Comparison],
    settings: Sequence[Setting],
) -> list[Ablation]:
    """Both tables for each setting, whether or not anything has run there.

    Raises InputError when a file is bad, or `comparisons` were not made from these users files.
    """
    grouped = by_method(read_records(results), paper_methods.METHODS)
    failures = [f for f in read_failures(failures_folder) if f.method in paper_methods.METHODS]
    ablations = []
    for setting in settings:
        records = grouped.get(setting, {})
        values = per_user_values(records)
        failed = [f for f in failures if (f.dataset, f.protocol) == setting]
        backbone = {c: mean_of_known(v) for c, v in values.get(BACKBONE, {}).items()}
        in_paper = paper_numbers.STANDS_FOR.get(setting[0]) == PAPER_DATA
        sections: list[AccuracySection] = []
        for table, labels, compared in (
            ("table_4", paper_methods.TABLE_4, paper_methods.STEPS),
            ("table_5", paper_methods.TABLE_5, paper_methods.CONTRIBUTIONS),
        ):
            its = [c for c in comparisons if (c.table, c.dataset, c.protocol) == (table, *setting)]
            pairs, columns = TABLES[table]
            tests = check_comparisons(its, values, columns, pairs, results / FILE)
            rows = [
                _row(label, method, compared.get(label), tests, values, records, failed,
                     paper[table] if in_paper else {})
                for label, method in labels.items()
            ]  # fmt: skip
            users = next((len(v["full", "hit@10"]) for v in values.values()), 0)
            sections.append(AccuracySection(*setting, users, rows))
        ablations.append(Ablation(sections[0], sections[1], backbone))
    return ablations


def _row(
    label: str,
    method: str,
    compared: tuple[str, str] | None,
    tests: dict[Label, Comparison],
    values: dict[str, Values],
    records: dict[str, list[Record]],
    failures: list[Failure],
    paper: Printed,
) -> Row:
    its_tests = {key[:2]: test for key, test in tests.items() if key[2:] == compared}
    its_records = records.get(method, [])
    if label == paper_methods.SYNERGY and not its_tests:
        its_records = []  # a run of all components alone has no synergy
    return Row(
        label=paper_methods.TABLE_4_LABELS.get(label, label),
        printed_as=label,
        method=method,
        paper={column: printed for (row, column), printed in paper.items() if row == label},
        ours={c: mean_of_known(v) for c, v in values.get(method, {}).items()},
        tests=its_tests,
        records=its_records,
        failures=without_record(failures, method, its_records),
    )


def change(test: Comparison | None, *, per_cent_of: float | None = None) -> Cell:
    """A difference with its interval, marked where Holm's p is below the level."""
    if test is None or per_cent_of == 0:
        return Cell(NONE)
    ends = (test.difference, test.low, test.high)
    numbers = (
        [f"{x:+.3f}" for x in ends]
        if per_cent_of is None
        else [f"{100 * x / per_cent_of:+.1f}" for x in ends]
    )
    unit = "" if per_cent_of is None else " %"
    return Cell(f"{numbers[0]}{unit} [{numbers[1]}, {numbers[2]}]", marked=test.p_holm < LEVEL)


def to_csv(sections: list[AccuracySection], columns: Sequence[Column]) -> str:
    """A line for each row: the paper's numbers as printed, our means, and the differences.

    `<metric>_change` is the row less `against`, with `_low`, `_high` and `_p_holm`; empty where one
    of the two has no run.
    """
    names = [
        f"paper_{m}" for m in dict.fromkeys(m for s in sections for r in s.rows for m in r.paper)
    ]
    names.append("against")
    for _, metric in columns:
        names += [metric, *(f"{metric}_change{end}" for end in ("", "_low", "_high", "_p_holm"))]
    lines = []
    for section in sections:
        for row in section.rows:
            line = row_key(section, row) | {f"paper_{m}": text for m, text in row.paper.items()}
            for tested in columns:
                if row.records and tested in row.ours:
                    line[tested[1]] = f"{row.ours[tested]:.6f}"
                if (test := row.tests.get(tested)) is not None:
                    line["against"] = test.baseline
                    ends = {"": test.difference, "_low": test.low, "_high": test.high}
                    line |= {f"{tested[1]}_change{end}": f"{x:.6f}" for end, x in ends.items()}
                    line[f"{tested[1]}_change_p_holm"] = f"{test.p_holm:.4g}"
            lines.append(line)
    return to_csv_text(names, lines)


def build_4(sections: list[AccuracySection]) -> Table:
    """Table IV for people."""
    columns = [("", "Configuration"), *(("Paper", METRIC_NAMES[m]) for _, m in COLUMNS_4)]
    columns += [("Ours", METRIC_NAMES[metric]) for _, metric in COLUMNS_4]
    columns += [("Change [95 % interval]", METRIC_NAMES[metric]) for _, metric in CHANGES]
    return Table(
        name="Table IV",
        label="tab:ablation",
        title="Ablation, one component after another: the paper's numbers and ours",
        columns=[*columns, ("", "Runs")],
        sections=[Section(s.heading, _cells_4(s), s.setting) for s in sections],
        notes=_notes_4(sections),
    )


def _cells_4(section: AccuracySection) -> list[list[Cell]]:
    rows = section.rows
    columns = [[Cell(row.label) for row in rows]]
    columns += [column([row.paper.get(metric) for row in rows]) for _, metric in COLUMNS_4]
    columns += [column([number(row.ours.get(c), 3) for row in rows]) for c in COLUMNS_4]
    for tested in CHANGES:
        columns.append([change(row.tests.get(tested)) for row in rows])
    columns.append([Cell(row.status) for row in rows])
    return [*map(list, zip(*columns))]


def _notes_4(sections: list[AccuracySection]) -> list[str]:
    made = sum(len(row.tests) for section in sections for row in section.rows)
    tested = (
        f"*: p < {LEVEL:g}, paired t test over users, Holm-adjusted over the {made} comparisons "
        "that comparisons.csv lists for this table."
    )
    return [
        "Paper: as printed, for MovieLens-25M; no split, ranking, seed or variance is named. Ours: "
        "full ranking.",
        "The first row is EnhancedGenRec without components. It is not the GenRec of Table I, "
        "which the paper names there.",
        "The step + Retrieval Augment. includes the item-item relations, an EASE term that the "
        "paper does not have. The step does not measure retrieval alone.",
        "Change: this row less the row above, over the same users, with a bootstrap interval; of "
        "Full Framework: less the first row.",
        "Adaptive Learning is the fifth of five components, so + Adaptive Learning and Full "
        "Framework are one configuration in the paper's own terms: one run fills both rows.",
        *([tested] if made else ["No two rows that follow each other have been run: no test."]),
        "Best of a column bold, second best underlined, as rounded here.",
        *run_notes(sections),
    ]


def build_5(ablations: list[Ablation]) -> Table:
    """Table V for people."""
    columns = [("", "Component"), *(("Paper", name) for name in PRINTED_5.values())]
    columns += [("Ours [95 % interval]", METRIC_NAMES[metric]) for _, metric in COLUMNS_5]
    return Table(
        name="Table V",
        label="tab:contributions",
        title="Contribution of ablation component: the paper's numbers and ours",
        columns=[*columns, ("", "Runs")],
        sections=[
            Section(ablation.table_5.heading, _cells_5(ablation), ablation.table_5.setting)
            for ablation in ablations
        ],
        notes=_notes_5([ablation.table_5 for ablation in ablations]),
    )


def _cells_5(ablation: Ablation) -> list[list[Cell]]:
    rows = []
    for row in ablation.table_5.rows:
        paper = [Cell(row.paper.get(f"{name}_improvement", NONE)) for name in PRINTED_5]
        ours = [change(row.tests.get(c), per_cent_of=ablation.backbone.get(c)) for c in COLUMNS_5]
        rows.append([Cell(row.label), *paper, *ours, Cell(row.status)])
    return rows


def _notes_5(sections: list[AccuracySection]) -> list[str]:
    made = sum(len(row.tests) for section in sections for row in section.rows)
    tested = (
        f"*: p < {LEVEL:g}, paired t test over users, Holm-adjusted over the comparisons that "
        "comparisons.csv lists for this table, the one of debiasing with retrieval included."
    )
    return [
        "Paper: as printed, in per cent. Its figures follow the steps of its Table IV, in which "
        "each component comes on top of those before. It does not say which diversity is meant.",
        f"Ours: the backbone with that component alone less the backbone with none ({BACKBONE}), "
        "over the same users, in per cent of the latter's mean, which the interval takes as given; "
        "full ranking.",
        "Retrieval Augment. includes the item-item relations, an EASE term that the paper does not "
        "have.",
        "Synergistic Effect: what the backbone with all five gains less the sum of the five gains "
        "above, formed for each user before it is tested.",
        *([tested] if made else ["No component and backbone have both been run: no test."]),
        *run_notes(sections),
    ]
