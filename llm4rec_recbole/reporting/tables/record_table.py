"""Tables II and III: numbers that stand in the run records, beside those that the paper prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm4rec_recbole.analysis.compare import LEVEL, Comparison
from llm4rec_recbole.analysis.paper import paper_numbers
from llm4rec_recbole.evaluation.records import Record
from llm4rec_recbole.reporting.tables.render import (
    UNDEFINED,
    Cell,
    Section,
    Table,
    column,
    number,
    row_key,
    to_csv_text,
)
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Row

Printed = dict[tuple[str, str], str]  # (row label, column) -> as printed


@dataclass(frozen=True)
class Measure:
    """One number of a run: where the record and the paper have it, and how it is shown."""

    key: str  # in the record
    printed: str  # the paper's column
    name: str  # with our unit
    paper_name: str  # with the paper's
    decimals: int
    smaller: bool = False  # is better


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
        """The table for people: the paper's columns, ours, and how many runs ours are means of.

        Ours carries the mark where a test in `tests` tells it from the best baseline.
        """
        columns = [("", "Method"), *(("Paper", m.paper_name) for m in self.measures)]
        columns += [*(("Ours", m.name) for m in self.measures), ("", "Runs")]
        shown = [Section(s.heading, self._cells(s, paper, tests), s.place) for s in sections]
        return Table(self.name, self.label, self.title, columns, shown, notes)

    def to_csv(self, sections: list[AccuracySection], paper: Printed) -> str:
        """The table for programs: `paper_<column>` as printed, ours by its name in the record.

        A number that a run does not have is "n/a", empty where there is no run.
        """
        names = [f"paper_{m.printed}" for m in self.measures] + [m.key for m in self.measures]
        rows = []
        for section in sections:
            for row in section.rows:
                values = row_key(section, row)
                for m in self.measures:
                    values[f"paper_{m.printed}"] = _paper(section, row, m, paper) or ""
                    values[m.key] = self._ours(row, m, decimals=6) or ""
                rows.append(values)
        return to_csv_text(names, rows)

    def _cells(
        self, section: AccuracySection, paper: Printed, tests: Sequence[Comparison]
    ) -> list[list[Cell]]:
        rows = section.rows
        differ = {
            (test.method, test.metric)
            for test in tests
            if (test.dataset, test.protocol) == (section.dataset, section.protocol)
            and test.p_holm < LEVEL
        }
        columns = [[Cell(row.label) for row in rows]]
        for m in self.measures:
            columns.append(column([_paper(section, r, m, paper) for r in rows], smaller=m.smaller))
        for m in self.measures:
            marks = [(row.method, m.key) in differ for row in rows]
            shown = [self._ours(row, m, m.decimals) for row in rows]
            columns.append(column(shown, smaller=m.smaller, marks=marks))
        columns.append([Cell(row.status) for row in rows])
        return [*map(list, zip(*columns))]

    def _ours(self, row: Row, measure: Measure, decimals: int) -> str | None:
        """Mean over the seeds; "n/a" where a run does not have it; None without a run."""
        values = [self.value(record, measure.key) for record in row.records]
        if not values:
            return None
        known = [value for value in values if value is not None]
        return number(float(np.mean(known)), decimals) if len(known) == len(values) else UNDEFINED

    def value(self, record: Record, key: str) -> float | None:
        """What `record` says under `key`."""
        return getattr(record, self.of)[key]


def _paper(section: AccuracySection, row: Row, measure: Measure, paper: Printed) -> str | None:
    in_paper = section.dataset in paper_numbers.STANDS_FOR
    return paper.get((row.printed_as, measure.printed)) if in_paper else None
