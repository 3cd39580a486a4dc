"""Tables II and III: numbers of the run records beside those that the paper prints.

Table II   diversity, coverage, novelty and fairness of the recommended lists
Table III  the cost of training and recommending, and the hardware that it was measured on
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.analysis.paired_tests import Comparison
from llm4rec_recbole.analysis.paper import paper_tables
from llm4rec_recbole.analysis.paper.paper_tables import METRIC_NAMES
from llm4rec_recbole.reporting.tables.render import (
    NONE,
    UNDEFINED,
    Cell,
    Table,
    column,
    over_seeds,
    seeds_text,
)
from llm4rec_recbole.reporting.tables.rows import (
    AccuracySection,
    Printed,
    Row,
    row_key,
    table_section,
    to_csv_text,
)


@dataclass(frozen=True)
class Measure:
    """One number of a run: its key in the record, its column in the paper, its display."""

    key: str
    printed: str  # "" where the paper has no such column
    name: str  # with our unit
    paper_name: str  # with the paper's
    decimals: int
    smaller: bool = False  # is better
    null: str = ""  # the part of `Record.fairness_null` whose range gets the next column


@dataclass(frozen=True)
class RecordTable:
    """A table of `measures`; `of` is the part of a record that holds them."""

    name: str
    label: str
    title: str
    of: str  # "beyond_accuracy" or "cost"
    measures: tuple[Measure, ...]

    def build(
        self,
        sections: list[AccuracySection],
        paper: Printed,
        notes: list[str],
        tests: Sequence[Comparison] = (),
    ) -> Table:
        """The table for people: the paper's columns, ours, and the number of seeds.

        `tests` give the marks of ours: the row's method differs from the one it is compared with.
        """
        columns = [("", "Method"), *(("Paper", m.paper_name) for m in self._printed)]
        for m in self.measures:
            columns += [("Ours", m.name), *([("Ours", "shuffled")] if m.null else [])]
        columns.append(("", "Runs"))
        table_sections = [table_section(s, self._columns(s, paper, tests)) for s in sections]
        return Table(self.name, self.label, self.title, columns, table_sections, notes)

    def to_csv(self, sections: list[AccuracySection], paper: Printed) -> str:
        """The table for programs: `paper_<column>` as printed, ours by its name in the record.

        A number that a run does not have is "n/a", empty where there is no run. `<name>_sd` is the
        standard deviation over seeds.
        """
        names = [f"paper_{m.printed}" for m in self._printed]
        for measure in self.measures:
            ends = ("", "_sd", *(["_shuffled"] if measure.null else []))
            names += [f"{measure.key}{end}" for end in ends]
        rows = []
        for section in sections:
            for row in section.rows:
                values = row_key(section, row)
                for m in self._printed:
                    values[f"paper_{m.printed}"] = _paper(section, row, m, paper) or ""
                for m in self.measures:
                    mean, deviation = over_seeds(self._numbers(row, m))
                    if row.records:
                        values[m.key] = UNDEFINED if mean is None else f"{mean:.6f}"
                    if deviation is not None:
                        values[f"{m.key}_sd"] = f"{deviation:.6f}"
                    if m.null:
                        values[f"{m.key}_shuffled"] = _null_range(row, m.null, decimals=6) or ""
                rows.append(values)
        return to_csv_text(names, rows)

    @property
    def _printed(self) -> list[Measure]:
        """The measures that the paper prints too."""
        return [measure for measure in self.measures if measure.printed]

    def _columns(
        self, section: AccuracySection, paper: Printed, tests: Sequence[Comparison]
    ) -> list[list[Cell]]:
        rows = section.rows
        differ = {
            (test.other, test.metric)
            for test in tests
            if test.setting == (section.dataset, section.protocol) and test.significant
        }
        columns = [
            column([_paper(section, row, m, paper) for row in rows], smaller=m.smaller)
            for m in self._printed
        ]
        for m in self.measures:
            marks = [(row.method, m.key) in differ for row in rows]
            texts = [
                (seeds_text(self._numbers(row, m), m.decimals) or UNDEFINED)
                if row.records
                else None
                for row in rows
            ]
            columns.append(column(texts, smaller=m.smaller, marks=marks))
            if m.null:
                columns.append([Cell(_null_range(row, m.null, m.decimals) or NONE) for row in rows])
        return columns

    def _numbers(self, row: Row, measure: Measure) -> list[float | None]:
        """The numbers of the row's seeds."""
        return [getattr(record, self.of)[measure.key] for record in row.records]


def _null_range(row: Row, part: str, decimals: int) -> str | None:
    """The range of a part of fairness with shuffled groups, mean over the seeds.

    "n/a" where a run does not have it; None without a run.
    """
    if not row.records:
        return None
    ranges = [record.fairness_null[part] for record in row.records if part in record.fairness_null]
    if len(ranges) < len(row.records):
        return UNDEFINED
    low, high = np.mean(ranges, axis=0)
    return f"{low:.{decimals}f}–{high:.{decimals}f}"


def _paper(section: AccuracySection, row: Row, measure: Measure, paper: Printed) -> str | None:
    in_paper = section.dataset in paper_tables.STANDS_FOR
    return paper.get((row.printed_as, measure.printed)) if in_paper else None


def _beyond(key: str, printed: str = "", paper_name: str = "", null: str = "") -> Measure:
    return Measure(key, printed, METRIC_NAMES[key], paper_name, 3, null=null)


TABLE_2 = RecordTable(
    name="Table II",
    label="tab:diversity",
    title="Diversity and fairness: the paper's numbers and ours",
    of="beyond_accuracy",
    measures=(
        _beyond("intra_list_diversity@10", "intra_list_diversity", "ILD"),
        _beyond("coverage@100", "coverage@100", "Cov@100"),
        _beyond("novelty@10", "novelty", "Novelty"),
        _beyond("fairness@10", "fairness", "Fairness"),
        _beyond("coverage@10"),
        _beyond("user_fairness@10", null="users"),
        _beyond("item_exposure@10", null="items"),
    ),
)
TABLE_3 = RecordTable(
    name="Table III",
    label="tab:cost",
    title="Cost: the paper's numbers and ours",
    of="cost",
    measures=(
        Measure("train_seconds", "training_time_hours", "Training, s", "Training, h", 1, True),
        Measure("inference_ms_per_user", "inference_time_ms", "ms/user", "Inference, ms", 3, True),
        Measure("peak_memory_gb", "memory_gb", "Memory, GiB", "Memory, GB", 2, True),
        Measure("model_size_mb", "model_size_mb", "Model, MiB", "Model, MB", 1, True),
        Measure("energy_wh", "", "Energy, Wh (estimate)", "", 3, True),
        Measure("co2e_g", "", "CO2e, g (estimate)", "", 3, True),
    ),
)
