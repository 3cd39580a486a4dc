"""Reads and checks everything that tables and report show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llm4rec_recbole.analysis import fairness_null
from llm4rec_recbole.analysis.claims import Entry, ledger, read_printed
from llm4rec_recbole.analysis.fairness_null import NullRange, read_null_ranges
from llm4rec_recbole.analysis.paired_tests import FILE, Comparison, read_comparisons
from llm4rec_recbole.analysis.paper.claims import Tables
from llm4rec_recbole.evaluation.records import Record, read_failures, read_records
from llm4rec_recbole.reporting.tables import ablation, accuracy, record_notes, record_tables
from llm4rec_recbole.reporting.tables.ablation import Ablation, read_ablations
from llm4rec_recbole.reporting.tables.render import Table
from llm4rec_recbole.reporting.tables.rows import AccuracySection, read_sections


@dataclass(frozen=True)
class ReportInputs:
    """The runs, the paper's numbers, and what follows from both."""

    sections: list[AccuracySection]
    ablations: list[Ablation]
    comparisons: list[Comparison]
    records: list[Record]
    paper: Tables
    claims: list[Entry]
    null_ranges: list[NullRange]

    def tables(self) -> list[tuple[str, Table, str]]:
        """(file name, the table, its CSV) of Tables I to V."""
        tests = [t for t in self.comparisons if t.table in ("table_2", "table_2_further")]
        table_2, table_3 = record_tables.TABLE_2, record_tables.TABLE_3
        notes_2 = record_notes.notes_2(self.sections, tests, self.null_ranges)
        notes_3 = record_notes.notes_3(self.sections)
        printed_2, printed_3 = self.paper["table_2"], self.paper["table_3"]
        steps = [ablation.table_4_with_nulls for ablation in self.ablations]
        parts = [ablation.table_5 for ablation in self.ablations]
        return [
            ("table_1", accuracy.build(self.sections), accuracy.to_csv(self.sections)),
            (
                "table_2",
                table_2.build(self.sections, printed_2, notes_2, tests),
                table_2.to_csv(self.sections, printed_2),
            ),
            (
                "table_3",
                table_3.build(self.sections, printed_3, notes_3),
                table_3.to_csv(self.sections, printed_3),
            ),
            (
                "table_4",
                ablation.build_4(self.ablations),
                ablation.to_csv(steps, ablation.COLUMNS_4),
            ),
            (
                "table_5",
                ablation.build_5(self.ablations),
                ablation.to_csv(parts, ablation.COLUMNS_5),
            ),
        ]


def read(
    results: Path, failures: Path, printed_folder: Path, recbole_row: str = "BPR"
) -> ReportInputs:
    """Read the folders. Raises InputError where a file is bad, or older than what it is made of."""
    sections = read_sections(results, failures, printed_folder, recbole_row)
    comparisons = read_comparisons(results / FILE)
    paper = read_printed(printed_folder)
    settings = [(section.dataset, section.protocol) for section in sections]
    ablations = read_ablations(results, failures, paper, comparisons, settings)
    records = read_records(results)
    claims = ledger(paper, records, comparisons, read_failures(failures), recbole_row)
    null_ranges = read_null_ranges(results / fairness_null.FILE)
    return ReportInputs(sections, ablations, comparisons, records, paper, claims, null_ranges)
