"""Everything that tables and report show, read and checked once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llm4rec_recbole.analysis import fairness_null
from llm4rec_recbole.analysis.claims import Entry, ledger, read_printed
from llm4rec_recbole.analysis.compare import FILE, Comparison, read_comparisons
from llm4rec_recbole.analysis.fairness_null import NullRange, read_null_ranges
from llm4rec_recbole.analysis.paper.claims import Tables
from llm4rec_recbole.evaluation.records import Record, read_failures, read_records
from llm4rec_recbole.reporting.tables import ablation, accuracy, contribution, cost, diversity
from llm4rec_recbole.reporting.tables.ablation_rows import Ablation, read_ablations
from llm4rec_recbole.reporting.tables.render import Table
from llm4rec_recbole.reporting.tables.rows import AccuracySection, read_sections


@dataclass(frozen=True)
class ReportInputs:
    """What was run, what the paper prints, and what comes of both."""

    sections: list[AccuracySection]
    ablations: list[Ablation]
    comparisons: list[Comparison]
    records: list[Record]
    paper: Tables
    claims: list[Entry]
    chances: list[NullRange]

    def tables(self) -> list[tuple[str, Table, str]]:
        """(file name, the table, its CSV) of Tables I to V."""
        tests = [test for test in self.comparisons if test.table == "table_2"]
        made = [("table_1", accuracy.build(self.sections), accuracy.to_csv(self.sections))]
        for name, table, notes in (
            ("table_2", diversity.TABLE, diversity.notes(self.sections, tests, self.chances)),
            ("table_3", cost.TABLE, cost.notes(self.sections)),
        ):
            paper = self.paper[name]
            built = table.build(self.sections, paper, notes, tests)
            made.append((name, built, table.to_csv(self.sections, paper)))
        steps = [each.table_4 for each in self.ablations]
        parts = [each.table_5 for each in self.ablations]
        made.append(("table_4", ablation.build(steps), ablation.to_csv(steps)))
        made.append(("table_5", contribution.build(self.ablations), contribution.to_csv(parts)))
        return made


def read(
    results: Path, failures: Path, printed_folder: Path, recbole_row: str = "BPR"
) -> ReportInputs:
    """Read the folders. Raises InputError where a file is bad, or older than what it is made of."""
    sections = read_sections(results, failures, printed_folder, recbole_row)
    comparisons = read_comparisons(results / FILE)
    paper = read_printed(printed_folder)
    places = [(section.dataset, section.protocol) for section in sections]
    ablations = read_ablations(results, failures, paper, comparisons, places)
    records = read_records(results)
    claims = ledger(paper, records, comparisons, read_failures(failures), recbole_row)
    chances = read_null_ranges(results / fairness_null.FILE)
    return ReportInputs(sections, ablations, comparisons, records, paper, claims, chances)
