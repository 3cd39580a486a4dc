"""Table V: what each component contributes by itself, and what all five add beyond their sum."""

from __future__ import annotations

from llm4rec_recbole.analysis.compare import LEVEL
from llm4rec_recbole.analysis.paper.paper_methods import BACKBONE, TABLES
from llm4rec_recbole.reporting.tables import ablation_rows
from llm4rec_recbole.reporting.tables.ablation_rows import Ablation
from llm4rec_recbole.reporting.tables.render import NONE, Cell, Section, Table
from llm4rec_recbole.reporting.tables.rows import AccuracySection, run_notes

COLUMNS = TABLES["table_5"][1]
NAMES = {"hit@10": "HR@10", "ndcg@10": "NDCG@10", "intra_list_diversity@10": "ILD@10"}
PRINTED = {"hit@10": "HR@10", "ndcg@10": "NDCG@10", "diversity": "Diversity"}


def build(ablations: list[Ablation]) -> Table:
    """Table V for people."""
    columns = [("", "Component"), *(("Paper", name) for name in PRINTED.values())]
    columns += [("Ours [95 % interval]", NAMES[metric]) for _, metric in COLUMNS]
    return Table(
        name="Table V",
        label="tab:contributions",
        title="Contribution of each component: the paper's numbers and ours",
        columns=[*columns, ("", "Runs")],
        sections=[
            Section(each.table_5.heading, _cells(each), each.table_5.place) for each in ablations
        ],
        notes=_notes([each.table_5 for each in ablations]),
    )


def to_csv(sections: list[AccuracySection]) -> str:
    """Table V for programs."""
    return ablation_rows.to_csv(sections, COLUMNS)


def _cells(ablation: Ablation) -> list[list[Cell]]:
    rows = []
    for row in ablation.table_5.rows:
        paper = [Cell(row.paper.get(f"{name}_improvement", NONE)) for name in PRINTED]
        ours = [
            ablation_rows.change(row.tests.get(c), per_cent_of=ablation.backbone.get(c))
            for c in COLUMNS
        ]
        rows.append([Cell(row.label), *paper, *ours, Cell(row.status)])
    return rows


def _notes(sections: list[AccuracySection]) -> list[str]:
    made = sum(len(row.tests) for section in sections for row in section.rows)
    tested = (
        f"*: p < {LEVEL:g}, paired t test over users, Holm-adjusted over the comparisons that "
        "comparisons.csv lists for this table, the one of debiasing with retrieval included."
    )
    return [
        "Paper: as printed, in per cent. Its figures follow the steps of its Table IV, in which "
        "each component comes on top of those before; it does not say which diversity is meant.",
        f"Ours: the backbone with that component alone less the backbone with none ({BACKBONE}), "
        "over the same users, in per cent of the latter's mean, which the interval takes as given; "
        "full ranking.",
        "Synergistic Effect: what the backbone with all five gains less the sum of the five gains "
        "above, formed for each user before it is tested.",
        *([tested] if made else ["No component and backbone have both been run: no test."]),
        *run_notes(sections),
    ]
