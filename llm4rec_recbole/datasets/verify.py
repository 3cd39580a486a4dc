"""Compares a data set with its specification: checksums, rows and statistics."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from pathlib import Path

from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.datasets.archives import reraise_corrupt_archive
from llm4rec_recbole.datasets.fetch import verify_checksum
from llm4rec_recbole.datasets.prepare import read_interactions, statistics
from llm4rec_recbole.datasets.readers.json_lines import read_json_object
from llm4rec_recbole.datasets.spec import DatasetSpec, RawFile, raw_files
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of


def verify(spec: DatasetSpec, folder: Path, raw: Path) -> tuple[list[str], bool]:
    """A line about each comparison, and whether everything is equal.

    Compared are the checksums of the files in `raw`. In `folder` they are the rows that `prepare`
    read and the statistics of the interactions. A missing file is reported and not a difference.
    Raises InputError if there is no file at all, and for broken interactions.
    """
    lines, equal = [], True
    inter = folder / f"{spec.dataset}.inter"
    if not raw.is_dir() and not inter.is_file():
        raise InputError("neither raw files nor interactions are here", file=folder)
    rows_read, made_from = _read_report(folder)
    if raw.is_dir():
        by_name = {file.name: file for files in spec.files.values() for file in files}
        for role, path in raw_files(spec, raw).items():
            try:
                status = _compare_checksum(path, by_name)
            except InputError as error:
                status, equal = error.message, False
            name, old_sum = made_from.get(role, ("", ""))  # a file packed since has another name
            if name == path.relative_to(raw).as_posix() and old_sum != sha256_of(path):
                status += "; the atomic files were made from another version: run llm4rec prepare"
                equal = False
            lines.append(f"{path.name}: {status}")
    for role, n_rows in spec.expected_rows.items():
        equal &= _compare(lines, f"rows of {role}", n_rows, rows_read.get(role))
    actual: dict[str, float] = {}
    if inter.is_file():
        DatasetFiles(folder, spec.dataset).check()
        actual = statistics(read_interactions(inter))
    for name, expected in spec.expected_statistics.items():
        equal &= _compare(lines, name, expected, actual.get(name))
    return lines, equal


def _compare_checksum(path: Path, by_name: dict[str, RawFile]) -> str:
    """What the checksum of `path` shows. For a file that a person packed: that of its content.

    Raises InputError for a wrong checksum and a corrupt gzip.
    """
    unpacked = by_name.get(path.name.removesuffix(".gz"))
    if path.name in by_name or unpacked is None:
        file = by_name.get(path.name, RawFile(name=path.name))
        return verify_checksum(path, file, sha256_of(path), path)
    with tempfile.NamedTemporaryFile() as out:
        with reraise_corrupt_archive("corrupt, perhaps cut short", path), gzip.open(path) as packed:
            shutil.copyfileobj(packed, out)
        out.flush()
        return verify_checksum(Path(out.name), unpacked, sha256_of(out.name), path)


def _read_report(folder: Path) -> tuple[dict[str, int], dict[str, tuple[str, str]]]:
    """From raw.json, by role: the rows that `prepare` read, and the file's name and SHA-256."""
    path = folder / "raw.json"
    if not path.is_file():
        return {}, {}
    try:
        report = read_json_object(path)
        rows = {role: int(counts["read"]) for role, counts in report["rows"].items()}
        files = report["files"].items()
        return rows, {role: (file["name"], file["sha256"]) for role, file in files}
    except (ValueError, KeyError, TypeError, AttributeError):
        hint = "run llm4rec prepare again"
        raise InputError("not a report of llm4rec prepare", file=path, hint=hint) from None


def _compare(lines: list[str], name: str, expected: float, actual: float | None) -> bool:
    if actual is None:
        lines.append(f"{name}: {expected:,} expected, not here (llm4rec prepare counts it)")
        return True
    status = "as expected" if actual == expected else f"{expected:,} expected"
    lines.append(f"{name}: {actual:,}, {status}")
    return actual == expected
