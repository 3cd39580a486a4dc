"""Is a data set what its property file says? Checksums, rows, and statistics, side by side."""

from __future__ import annotations

import json
from pathlib import Path

from llm4rec_recbole.data.interactions import read_interactions, statistics
from llm4rec_recbole.data.source import RawFile, Source, raw_files
from llm4rec_recbole.data.take import verdict
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of


def check(source: Source, folder: Path, raw: Path) -> tuple[list[str], bool]:
    """A line about each thing compared, and whether all are the same.

    Compared are the checksums of the files in `raw`, and in `folder` the rows that `prepare` read
    of each, and the statistics of the interactions it kept. What is not there is no difference, and
    told. Raises InputError when nothing is there at all.
    """
    lines, same = [], True
    inter = folder / f"{source.dataset}.inter"
    if not raw.is_dir() and not inter.is_file():
        raise InputError("neither raw files nor interactions are here", file=folder)
    if raw.is_dir():
        by_name = {file.name: file for files in source.files.values() for file in files}
        for path in raw_files(source, raw).values():
            wanted = by_name.get(path.name, RawFile(path.name))  # packed or unpacked by hand
            try:
                told = verdict(path, wanted, sha256_of(path), path)
            except InputError as error:
                told, same = error.message, False
            lines.append(f"{path.name}: {told}")
    rows = _rows(folder)
    for role, expected in source.rows.items():
        same &= _compare(lines, f"rows of {role}", expected, rows.get(role))
    found = statistics(read_interactions(inter)) if inter.is_file() else {}
    for name, number in source.statistics.items():
        same &= _compare(lines, name, number, found.get(name))
    return lines, same


def _rows(folder: Path) -> dict[str, int]:
    path = folder / "raw.json"
    report = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": {}}
    return {role: counts["read"] for role, counts in report["rows"].items()}


def _compare(lines: list[str], name: str, expected: float, found: float | None) -> bool:
    if found is None:
        lines.append(f"{name}: {expected:,} expected, not here (llm4rec prepare counts it)")
        return True
    verdict = "as expected" if found == expected else f"{expected:,} expected"
    lines.append(f"{name}: {found:,}, {verdict}")
    return found == expected
