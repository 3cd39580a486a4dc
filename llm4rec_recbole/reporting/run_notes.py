"""What every table's caption says of the runs: seeds, failures, versions."""

from __future__ import annotations

from llm4rec_recbole.analysis.records import Record
from llm4rec_recbole.analysis.table_rows import REFERENCES
from llm4rec_recbole.reporting.accuracy_rows import AccuracySection, Row, first_line

COMMON = (
    f"{REFERENCES[0]} to {REFERENCES[-1]}: references that the paper does not have.",
    "Best of a column bold, second best underlined, as rounded here.",
)


def run_notes(sections: list[AccuracySection]) -> list[str]:
    """The sentences on how many seeds were run, what failed, and what was made with what."""
    rows = [row for section in sections for row in section.rows]
    records = [record for row in rows for record in row.records]
    return [
        *_seeds(rows),
        *_failures(sections),
        *_versions("git commit", "git_commit", records),
        *_versions("config lock", "lock_sha256", records),
        *(note for section in sections for note in _data(section)),
    ]


def _seeds(rows: list[Row]) -> list[str]:
    ran = [row for row in rows if row.records]
    single = sorted({row.method for row in ran if len(row.records) == 1})
    if not ran:
        return []
    if all(len(row.records) == 1 for row in ran):
        return ["One seed for each method: how much a result varies between seeds is not known."]
    few = f" One seed only: {', '.join(single)}." if single else ""
    return [f"Means over the seeds given under Runs, averaged for each user first.{few}"]


def _failures(sections: list[AccuracySection]) -> list[str]:
    """Seeds that failed beside others that did not; a method without any says so in its row."""
    return [
        f"{section.dataset}, {section.protocol}: {row.method} failed with seed {failure.seed} "
        f"({first_line(failure.error)}); its numbers are from the other seeds."
        for section in sections
        for row in section.rows
        if row.records
        for failure in row.failures
    ]


def _versions(name: str, key: str, records: list[Record], where: str = "") -> list[str]:
    methods: dict[str, set[str]] = {}
    for record in records:
        methods.setdefault(str(record.provenance[key]), set()).add(record.method)
    if len(methods) < 2:
        return []
    listed = "; ".join(f"{_short(v)}: {', '.join(sorted(m))}" for v, m in methods.items())
    return [f"{where}Made with more than one {name} ({listed})."]


def _short(version: str) -> str:
    """The first eight digits of a hash, and what follows it, such as "-dirty"."""
    digits, dash, rest = version.partition("-")
    return digits[:8] + dash + rest


def _data(section: AccuracySection) -> list[str]:
    records = [record for row in section.rows for record in row.records]
    where = f"{section.dataset}, {section.protocol}: "
    return _versions("version of the data", "data_sha256", records, where)
