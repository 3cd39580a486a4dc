"""Notes that every table has: groups of rows, seeds, failures, versions of code and data."""

from __future__ import annotations

from llm4rec_recbole.analysis.paper.paper_methods import NOT_SEARCHED
from llm4rec_recbole.evaluation.records import Record
from llm4rec_recbole.reporting.tables.rows import AccuracySection, Row, first_line

COMMON = (
    "References and nulls: methods that the paper does not have. A null is a simpler method that "
    "could give the same numbers (properties/nulls.yaml). Other methods: this project does not "
    "have them either.",
    f"{' and '.join(NOT_SEARCHED)} are smaller than the paper's, as their rows say. Their options "
    "are not searched, because one trial takes too long.",
    "Best of a column bold, second best underlined, as rounded here.",
)


def run_notes(sections: list[AccuracySection]) -> list[str]:
    """The sentences on seeds, failed runs, and versions of code, packages and data."""
    rows = [row for section in sections for row in section.rows]
    records = [record for row in rows for record in row.records]
    return [
        *_seeds(rows),
        *_failures(sections),
        *_idle_components(records),
        *_versions("git commit", "git_commit", records),
        *_versions("config lock", "lock_sha256", records),
        *(note for section in sections for note in _data(section)),
    ]


def _seeds(rows: list[Row]) -> list[str]:
    ran = [row for row in rows if row.records]
    if not ran:
        return []
    single = sorted({row.method for row in ran if row.one_seed})
    means = "Mean ± standard deviation over the seeds given under Runs."
    if not single:
        return [means]
    return [
        f"{means} One seed: {', '.join(single)}. How much a result varies between seeds is then "
        "unknown, and the result supports no claim."
    ]


def _failures(sections: list[AccuracySection]) -> list[str]:
    """Seeds that failed where other seeds did not; a method without any has it in its row."""
    return [
        f"{section.setting}: {row.method} failed with seed {failure.seed} "
        f"({first_line(failure.error)}); its numbers are from the other seeds."
        for section in sections
        for row in section.rows
        if row.records
        for failure in row.failures
    ]


def _idle_components(records: list[Record]) -> list[str]:
    """Components that a run had on and that found nothing in its data to work on."""
    notes: dict[str, None] = {}
    for record in records:
        idle = record.provenance.get("idle_components")
        for name, lacking in idle.items() if isinstance(idle, dict) else ():
            notes[f"{record.method} on {record.dataset}: component {name} is off ({lacking})."] = (
                None
            )
    return list(notes)


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
    return _versions("version of the data", "data_sha256", records, f"{section.setting}: ")
