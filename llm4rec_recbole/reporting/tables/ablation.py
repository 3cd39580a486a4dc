"""Tables IV and V: what each step of the ablation changes, and what each component adds alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llm4rec_recbole.analysis import null_ladder
from llm4rec_recbole.analysis.null_ladder import Rung, effect, effect_of_row
from llm4rec_recbole.analysis.paired_tests import Comparison
from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.analysis.paper.paper_tables import (
    BACKBONE,
    METRIC_NAMES,
    NULL,
    OURS,
    PARTS,
    TABLES,
    row_label,
)
from llm4rec_recbole.analysis.significance import LEVEL
from llm4rec_recbole.registry import nulls
from llm4rec_recbole.reporting.tables.notes import run_notes
from llm4rec_recbole.reporting.tables.render import NONE, Cell, Table, column, number
from llm4rec_recbole.reporting.tables.rows import (
    AccuracySection,
    Column,
    Printed,
    Row,
    SettingResults,
    row_key,
    table_section,
    to_csv_text,
)

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
    nulls: list[Row]
    ladder: list[Rung]

    @property
    def table_4_with_nulls(self) -> AccuracySection:
        """The rows of Table IV, and the nulls below them."""
        return replace(self.table_4, rows=[*self.table_4.rows, *self.nulls])


def ablation_of(results: SettingResults, paper: Mapping[str, Printed]) -> Ablation:
    """Both tables of one data set and protocol, whether or not anything has run there."""
    in_paper = paper_tables.STANDS_FOR.get(results.dataset) == PAPER_DATA
    sections = [
        _section(results, table, labels, compared, paper[table] if in_paper else {})
        for table, labels, compared in (
            ("table_4", paper_tables.TABLE_4, paper_tables.STEPS),
            ("table_5", paper_tables.TABLE_5, paper_tables.CONTRIBUTIONS),
        )
    ]
    backbone = results.means(BACKBONE)
    ladder = null_ladder.rungs(results.comparisons, results.runs)
    return Ablation(sections[0], sections[1], backbone, _null_rows(results), ladder)


def _section(
    results: SettingResults,
    table: str,
    labels: Mapping[str, str],
    compared: Mapping[str, tuple[str, str]],
    paper: Printed,
) -> AccuracySection:
    tests: dict[tuple[str, str], dict[Column, Comparison]] = {}
    for c in results.comparisons:
        if c.table == table:
            tests.setdefault((c.method, c.baseline), {})[c.ranking, c.metric] = c
    rows = []
    for label, method in labels.items():
        row_tests = tests.get(compared[label], {}) if label in compared else {}
        no_synergy = label == paper_tables.SYNERGY and not row_tests  # its run is not enough
        row_results = replace(results, runs={}) if no_synergy else results
        printed = {column: number for (row, column), number in paper.items() if row == label}
        shown_as = paper_tables.TABLE_4_LABELS.get(label, label)
        rows.append(row_results.row(shown_as, method, row_tests, "Components", printed_as=label,
                              paper=printed))  # fmt: skip
    users = results.users if any(row.records for row in rows) else 0
    return AccuracySection(results.dataset, results.protocol, users, rows)


def _null_rows(results: SettingResults) -> list[Row]:
    """A row for each null of EnhancedGenRec that ran and that is no configuration of Table IV.

    Its tests are of EnhancedGenRec less the null.
    """
    rows = []
    for null, null_spec in nulls().items():
        if OURS in null_spec["of"] and null in results.runs and null not in paper_tables.METHODS:
            tests = {
                (c.ranking, c.metric): c
                for c in results.comparisons
                if (c.table, c.method, c.baseline) == ("table_1_nulls", OURS, null)
            }
            label = f"{row_label(null)} (null of the {null_spec['part']})"
            rows.append(results.row(label, null, tests, NULL))
    return rows


def change(test: Comparison | None, *, per_cent_of: float | None = None) -> Cell:
    """A difference with its interval, marked where Holm's p is below the level."""
    if test is None or per_cent_of == 0:
        return Cell(NONE)
    ends = (test.difference, test.low, test.high)
    if per_cent_of is None:
        text = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*ends)
    else:
        text = "{:+.1f} % [{:+.1f}, {:+.1f}]".format(*(100 * x / per_cent_of for x in ends))
    return Cell(text, marked=test.significant)


def to_csv(sections: list[AccuracySection], columns: Sequence[Column]) -> str:
    """A line for each row: the paper's numbers as printed, our means, and the differences.

    `<metric>_change` is the row less `against`, or of a null `against` less the row, with `_low`,
    `_high`, `_p_holm` and the conclusion; empty where one of the two has no run. `<metric>_sd` is
    the standard deviation over seeds.
    """
    printed = dict.fromkeys(m for s in sections for r in s.rows for m in r.paper)
    changes = ("", "_low", "_high", "_p_holm", "_conclusion")
    ends = ("", "_sd", *(f"_change{end}" for end in changes))
    names = [*(f"paper_{m}" for m in printed), "against"]
    names += [f"{metric}{end}" for _, metric in columns for end in ends]
    lines = []
    for section in sections:
        for row in section.rows:
            line = row_key(section, row) | {f"paper_{m}": text for m, text in row.paper.items()}
            for tested in columns:
                metric, test = tested[1], row.tests.get(tested)
                if row.records and tested in row.ours:
                    line[metric] = f"{row.ours[tested]:.6f}"
                    if tested in row.deviation:
                        line[f"{metric}_sd"] = f"{row.deviation[tested]:.6f}"
                if test is not None:
                    line |= {
                        "against": OURS if row.group == NULL else test.baseline,
                        f"{metric}_change": f"{test.difference:.6f}",
                        f"{metric}_change_low": f"{test.low:.6f}",
                        f"{metric}_change_high": f"{test.high:.6f}",
                        f"{metric}_change_p_holm": f"{test.p_holm:.4g}",
                        f"{metric}_change_conclusion": test.conclusion,
                    }
            lines.append(line)
    return to_csv_text(names, lines)


def build_4(ablations: list[Ablation]) -> Table:
    """Table IV for people."""
    columns = [("", "Configuration"), *(("Paper", METRIC_NAMES[m]) for _, m in COLUMNS_4)]
    columns += [("Ours", METRIC_NAMES[metric]) for _, metric in COLUMNS_4]
    columns += [("Change [95 % interval]", METRIC_NAMES[metric]) for _, metric in CHANGES]
    sections = [ablation.table_4_with_nulls for ablation in ablations]
    return Table(
        name="Table IV",
        label="tab:ablation",
        title="Ablation, one component after another: the paper's numbers and ours",
        columns=[*columns, ("", "Effect"), ("", "Runs")],
        sections=[table_section(s, _columns_4(s.rows, a)) for s, a in zip(sections, ablations)],
        notes=_notes_4(sections),
    )


def _columns_4(rows: list[Row], ablation: Ablation) -> list[list[Cell]]:
    return [
        *(column([row.paper.get(metric) for row in rows]) for _, metric in COLUMNS_4),
        *(column([number(r.ours.get(c), 3, r.deviation.get(c)) for r in rows]) for c in COLUMNS_4),
        *([change(row.tests.get(tested)) for row in rows] for tested in CHANGES),
        [Cell(_effect(row, ablation) or NONE) for row in rows],
    ]


def _effect(row: Row, ablation: Ablation) -> str:
    """What the row's component, or the part that a null tests, does to NDCG@10, by rule."""
    test = row.tests.get(("full", null_ladder.METRIC))
    if row.group == NULL:
        return "" if test is None else effect(test)
    part = PARTS.get(row.printed_as)
    rung = next((r for r in ablation.ladder if (r.method, r.part) == (OURS, part)), None)
    return effect_of_row(test, rung) if test is not None else ""


def _effect_notes(rows: Sequence[Row]) -> list[str]:
    """The rule of the column Effect."""
    if not any(row.tests for row in rows):
        return []
    rules = " ".join(f"{n[0].upper()}{n[1:]}: {rule}." for n, rule in null_ladder.RULES.items())
    return [
        f"Effect, in NDCG@10 of the full ranking. {rules} A component is judged twice: by its row "
        "and by the best of its nulls that ran (the best on validation). It has an effect only "
        "where both say so; else a cost counts before a tie."
    ]


def _notes_4(sections: list[AccuracySection]) -> list[str]:
    n_tests = sum(
        test.table == "table_4" for s in sections for row in s.rows for test in row.tests.values()
    )
    tested = (
        f"*: p < {LEVEL:g}, paired t test over users and seeds. It is Holm-adjusted over the "
        f"{n_tests} comparisons that comparisons.csv lists for this table. For nulls it is "
        "adjusted over all comparisons with nulls."
    )
    return [
        "Paper: as printed, for MovieLens-25M; no split, ranking, seed or variance is named. Ours: "
        "full ranking.",
        "The first row is EnhancedGenRec without components. It is not the GenRec of Table I, "
        "which the paper names there.",
        "The step + Retrieval Augment. includes the item-item relations, a linear term (SLIST) "
        "that the paper does not have. The step does not measure retrieval alone.",
        "Change: this row less the row above, over the same users; of Full Framework: less the "
        f"first row; of a null: {OURS} less the null. The interval is of the bootstrap over users, "
        "or of t with users and seeds random where a method has several seeds.",
        "Adaptive Learning is the fifth of five components, so the paper's + Adaptive Learning and "
        "Full Framework are one configuration. Our Full Framework, EnhancedGenRec, also has a "
        "SASRec beside the language model, which the paper does not have.",
        *([tested] if n_tests else ["No two rows that follow each other have been run: no test."]),
        *_effect_notes([row for section in sections for row in section.rows]),
        "Nulls: each is named with the part that it tests (properties/nulls.yaml).",
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
        columns=[*columns, ("", "Effect"), ("", "Runs")],
        sections=[
            replace(table_section(ablation.table_5, _columns_5(ablation)), groups={})
            for ablation in ablations
        ],
        notes=_notes_5([ablation.table_5 for ablation in ablations]),
    )


def _columns_5(ablation: Ablation) -> list[list[Cell]]:
    rows, base = ablation.table_5.rows, ablation.backbone
    return [
        *([Cell(r.paper.get(f"{name}_improvement", NONE)) for r in rows] for name in PRINTED_5),
        *([change(r.tests.get(c), per_cent_of=base.get(c)) for r in rows] for c in COLUMNS_5),
        [Cell(_effect(row, ablation) or NONE) for row in rows],
    ]


def _notes_5(sections: list[AccuracySection]) -> list[str]:
    n_tests = sum(len(row.tests) for section in sections for row in section.rows)
    tested = (
        f"*: p < {LEVEL:g}, paired t test over users and seeds. It is Holm-adjusted over the "
        "comparisons that comparisons.csv lists for this table. One of them compares debiasing "
        "with retrieval."
    )
    return [
        "Paper: as printed, in per cent. Its figures follow the steps of its Table IV, in which "
        "each component comes on top of those before. It does not say which diversity is meant.",
        f"Ours: the backbone with that component alone less the backbone with none ({BACKBONE}), "
        "over the same users, full ranking. The unit is per cent of the latter's mean. The "
        "interval does not count that mean's own error.",
        "Retrieval Augment. includes the item-item relations, a linear term (SLIST) that the "
        "paper does not have.",
        "Synergistic Effect: what the backbone with all five gains less the sum of the five gains "
        "above, formed for each user before it is tested.",
        *([tested] if n_tests else ["No component and backbone have both been run: no test."]),
        *_effect_notes([row for section in sections for row in section.rows]),
        *run_notes(sections),
    ]
