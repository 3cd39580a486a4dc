"""Reads and checks everything that tables and report show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm4rec_recbole.analysis.claims import LedgerEntry, ledger, read_printed
from llm4rec_recbole.analysis.compare import check_comparisons, grouped_runs
from llm4rec_recbole.analysis.paired_tests import FILE, Comparison, read_comparisons
from llm4rec_recbole.analysis.paper.claims import Tables
from llm4rec_recbole.analysis.paper.paper_tables import table_methods
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.record_reader import (
    SHUFFLE_TESTS,
    Record,
    read_failures,
    read_records,
    read_tests,
)
from llm4rec_recbole.evaluation.users_file import per_seed_values
from llm4rec_recbole.files import read_json
from llm4rec_recbole.reporting.tables import ablation, accuracy, notes
from llm4rec_recbole.reporting.tables.ablation import COLUMNS_4, COLUMNS_5, Ablation, ablation_of
from llm4rec_recbole.reporting.tables.record_tables import TABLE_2, TABLE_3
from llm4rec_recbole.reporting.tables.render import Table
from llm4rec_recbole.reporting.tables.rows import AccuracySection, SettingResults, accuracy_section


@dataclass(frozen=True)
class ReportInputs:
    """The runs, the paper's numbers, and what follows from both."""

    sections: list[AccuracySection]
    ablations: list[Ablation]
    comparisons: list[Comparison]
    records: list[Record]
    paper: Tables
    claims: list[LedgerEntry]

    def tables(self) -> list[tuple[str, Table, str]]:
        """(file name, the table, its CSV) of Tables I to V."""
        sections, ablations = self.sections, self.ablations
        tests = [t for t in self.comparisons if t.table in ("table_2", "table_2_further")]
        tables = {
            "table_1": (accuracy.build(sections), accuracy.to_csv(sections)),
            "table_4": (
                ablation.build_4(ablations),
                ablation.to_csv([a.table_4_with_nulls for a in ablations], COLUMNS_4),
            ),
            "table_5": (
                ablation.build_5(ablations),
                ablation.to_csv([a.table_5 for a in ablations], COLUMNS_5),
            ),
        }
        for name, table, text, its_tests in (
            ("table_2", TABLE_2, notes.notes_2(sections, tests), tests),
            ("table_3", TABLE_3, notes.notes_3(sections), []),
        ):
            printed = self.paper[name]
            built = table.build(sections, printed, text, its_tests)
            tables[name] = (built, table.to_csv(sections, printed))
        return [(name, *tables[name]) for name in sorted(tables)]


def read(results: Path, failures_folder: Path, printed_folder: Path) -> ReportInputs:
    """Read the folders.

    Raises InputError where a file is bad, where no record and no failure exists, and where
    comparisons.csv was not made from these users files.
    """
    records, failures = read_records(results), read_failures(failures_folder)
    runs = grouped_runs(records)
    methods = table_methods({record.method for record in records})
    settings = {f.setting for f in failures if f.method in methods}
    settings |= {
        setting for setting, runs_by_method in runs.items() if runs_by_method.keys() & {*methods}
    }
    if not settings:
        raise InputError("there are no run records", file=results / "runs", hint="run something")
    paper, comparisons = read_printed(printed_folder), read_comparisons(results / FILE)
    values = {setting: per_seed_values(runs_by_method) for setting, runs_by_method in runs.items()}
    check_comparisons(comparisons, runs, values, results / FILE)
    sections, ablations = [], []
    for setting in sorted(settings):
        results_here = SettingResults(
            *setting,
            runs.get(setting, {}),
            values.get(setting, {}),
            [c for c in comparisons if c.setting == setting],
            [f for f in failures if f.setting == setting],
        )
        time = time_note(results, *setting)
        sections.append(accuracy_section(results_here, paper["table_1"], time))
        ablations.append(ablation_of(results_here, paper))
    claims = ledger(paper, records, comparisons, failures)
    return ReportInputs(sections, ablations, comparisons, records, paper, claims)


# The note below Table I about time: what a protocol does to its order, and whether order matters.
# The shares come from the summaries of the data sets (datasets/prepare.py), the differences from
# the shuffle test.


def time_note(results: Path, dataset: str, protocol: str) -> str:
    """Return the sentences of one data set and protocol; "" where nothing is known.

    Raises InputError for a bad file.
    """
    shares = _time_order(results / "data" / f"{dataset}.json", protocol)
    tests = [
        test
        for test in read_tests(results / "data" / SHUFFLE_TESTS)
        if (test.dataset, test.protocol) == (dataset, protocol)
    ]
    sentences = []
    if shares:
        later, hour, tied = (f"{100 * shares[name]:.0f} %" for name in _SHARES)
        sentences = [
            f"{later} of the training interactions are later than the test item (mean over users).",
            f"{hour} of the test items come within an hour of the item before, {tied} at the same "
            "time.",
        ]
    sentences += [
        f"With histories in random order {test.method} has NDCG@10 {test.shuffled:.3f} in place "
        f"of {test.ordered:.3f}, {test.shuffled - test.ordered:+.3f} "
        f"[{-test.high:+.3f}, {-test.low:+.3f}]."
        for test in tests
    ]
    return f"{dataset}, {protocol}: {' '.join(sentences)}" if sentences else ""


_SHARES = ("train_later_than_test", "test_within_an_hour", "test_at_last_time")


def _time_order(path: Path, protocol: str) -> dict[str, float]:
    """The shares in a data set's summary; none in an older summary and without times."""
    try:
        summary: Any = read_json(path)
    except FileNotFoundError:
        return {}
    try:
        shares = summary[protocol].get("time_order")
        if shares is not None and not all(0 <= shares[name] <= 1 for name in _SHARES):
            raise ValueError("no share")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"no summary of the protocol {protocol}, or without its shares"
        raise InputError(message, file=path, hint="llm4rec prepare --summary=…") from error
    return shares or {}
