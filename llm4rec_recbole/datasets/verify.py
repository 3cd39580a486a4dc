"""Is a data set what its property file says? Checksums, rows, and statistics, side by side."""

from __future__ import annotations

import gzip
import json
import shutil
import tempfile
from pathlib import Path

from llm4rec_recbole.data.atomic import check_atomic_files
from llm4rec_recbole.data.interactions import read_interactions, statistics
from llm4rec_recbole.datasets.archives import BROKEN
from llm4rec_recbole.datasets.import_raw_files import verdict
from llm4rec_recbole.datasets.spec import RawFile, Source, raw_files
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of


def check(source: Source, folder: Path, raw: Path) -> tuple[list[str], bool]:
    """A line about each thing compared, and whether all are the same.

    Compared are the checksums of the files in `raw`, and in `folder` the rows that `prepare` read
    of each, and the statistics of the interactions it kept. What is not there is no difference, and
    told. Raises InputError when nothing is there at all, and for interactions that are broken.
    """
    lines, same = [], True
    inter = folder / f"{source.dataset}.inter"
    if not raw.is_dir() and not inter.is_file():
        raise InputError("neither raw files nor interactions are here", file=folder)
    rows, made_from = _report(folder)
    if raw.is_dir():
        by_name = {file.name: file for files in source.files.values() for file in files}
        for role, path in raw_files(source, raw).items():
            try:
                told = _checksum(path, by_name)
            except InputError as error:
                told, same = error.message, False
            name, sum_then = made_from.get(role, ("", ""))  # not to be compared if packed since
            if name == path.relative_to(raw).as_posix() and sum_then != sha256_of(path):
                told += "; what is below was made from another version: run llm4rec prepare"
                same = False
            lines.append(f"{path.name}: {told}")
    for role, expected in source.rows.items():
        same &= _compare(lines, f"rows of {role}", expected, rows.get(role))
    found = {}
    if inter.is_file():
        check_atomic_files(folder, source.dataset)
        found = statistics(read_interactions(inter))
    for name, number in source.statistics.items():
        same &= _compare(lines, name, number, found.get(name))
    return lines, same


def _checksum(path: Path, by_name: dict[str, RawFile]) -> str:
    """What the checksum of `path` says; of a file packed by hand, that of what is in it.

    Raises InputError for a wrong one, and for a gzip that is broken.
    """
    unpacked = by_name.get(path.name.removesuffix(".gz"))
    if path.name in by_name or unpacked is None:
        return verdict(path, by_name.get(path.name, RawFile(path.name)), sha256_of(path), path)
    with tempfile.NamedTemporaryFile() as out, gzip.open(path) as packed:
        try:
            shutil.copyfileobj(packed, out)
        except BROKEN as error:
            raise InputError(f"broken, perhaps cut short: {error}", file=path) from None
        out.flush()
        return verdict(Path(out.name), unpacked, sha256_of(out.name), path)


def _report(folder: Path) -> tuple[dict[str, int], dict[str, tuple[str, str]]]:
    """What the last `prepare` says of each role: the rows it read, the file's name and SHA-256."""
    path = folder / "raw.json"
    if not path.is_file():
        return {}, {}
    try:
        report = json.loads(path.read_bytes())
        rows = {role: int(counts["read"]) for role, counts in report["rows"].items()}
        files = report["files"].items()
        return rows, {role: (file["name"], file["sha256"]) for role, file in files}
    except (ValueError, KeyError, TypeError, AttributeError):
        hint = "run llm4rec prepare again"
        raise InputError("not the report of a prepare", file=path, hint=hint) from None


def _compare(lines: list[str], name: str, expected: float, found: float | None) -> bool:
    if found is None:
        lines.append(f"{name}: {expected:,} expected, not here (llm4rec prepare counts it)")
        return True
    verdict = "as expected" if found == expected else f"{expected:,} expected"
    lines.append(f"{name}: {found:,}, {verdict}")
    return found == expected
