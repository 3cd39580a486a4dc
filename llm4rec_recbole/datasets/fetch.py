"""Gets a data set's raw files into <data_path>/<name>/raw, with their checksums verified.

The files come from a download, or from a person's own folder or archive.
`llm4rec fetch` is the command (cli/datasets.py). The property file names the files (spec.py).
`verify` compares checksums, rows and statistics with it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from llm4rec_recbole.data.dataset_files import DatasetFiles
from llm4rec_recbole.datasets import raw_sources
from llm4rec_recbole.datasets.prepare import read_interactions, statistics
from llm4rec_recbole.datasets.raw_sources import Refused, download
from llm4rec_recbole.datasets.readers.json_lines import read_json_object
from llm4rec_recbole.datasets.spec import DOWNLOADS, INCOMPLETE, DatasetSpec, RawFile, raw_files
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of, staging_dir

_BLOCK = 1 << 20
_NOT_IMPORTED = "the file was not imported; an older version stays"


def fetch(spec: DatasetSpec, raw: Path, archive: str | Path | None = None) -> list[str]:
    """Download the raw files into `raw`, or import them from `archive`. Return a line about each.

    Raises InputError for a wrong checksum, a broken connection and a corrupt archive. For a data
    set that a person must download, the error names the page and the terms. Existing files stay.
    """
    try:
        if archive is not None:
            return import_raw_files(spec, archive, raw)
        return _download(spec, raw)
    finally:  # an empty folder would look like a data set that lacks its files
        with suppress(OSError):
            raw.rmdir()


def _download(spec: DatasetSpec, raw: Path) -> list[str]:
    _refuse_manual_downloads(spec)
    downloads = raw / DOWNLOADS
    if spec.archive is not None:
        assert spec.archive.url is not None
        urls = {spec.archive.name: (spec.archive.url, False)}
    else:
        urls = {
            file.url.rpartition("/")[2]: (file.url, file.optional)
            for files in spec.files.values()
            for file in files
            if file.url is not None
        }
    for name, (url, optional) in urls.items():
        if (downloads / name).is_file():  # complete since an earlier call that broke off
            continue
        try:
            download(url, downloads / name)
        except Refused as error:  # after a broken connection, the next call continues instead
            if not optional:
                raise
            print(error, file=sys.stderr)
    archive = downloads if spec.archive is None else downloads / spec.archive.name
    try:
        lines = import_raw_files(spec, archive, raw)
    except InputError as error:  # download the wrong file again, but not the others
        wrong = downloads / Path(error.file or "").name
        for path in [wrong] if wrong.is_file() else list(downloads.iterdir()):
            path.unlink()
        with suppress(OSError):
            downloads.rmdir()
        raise
    shutil.rmtree(downloads)
    return lines


def _refuse_manual_downloads(spec: DatasetSpec) -> None:
    """Raises InputError if a person must download the data set, or if no address is known."""
    own_copy = f"llm4rec fetch {spec.dataset} --from FOLDER"
    if spec.license_agreement:
        names = ", ".join(files[0].name for files in spec.files.values())
        message = f"{spec.dataset} needs your consent: accept {spec.license_agreement}, and "
        message += f"download {names} from {spec.homepage}"
        raise InputError(message, hint=f"then: {own_copy}")
    if spec.archive is not None and spec.archive.url:
        return
    for files in spec.files.values():
        if not any(file.url or file.optional for file in files):
            message = f"{spec.dataset} has no known address of {files[0].name}"
            hint = f"your own copy: {own_copy}"
            raise InputError(f"{message}; see {spec.homepage}", hint=hint)


def import_raw_files(spec: DatasetSpec, archive: str | Path, raw: Path) -> list[str]:
    """Copy the data set's files from the folder or archive into `raw`. Return a line about each.

    All or nothing: an InputError leaves the existing files untouched. For each role the first
    candidate file that exists is copied. Raises InputError if a required file is missing or a
    checksum differs. A file without a known checksum may not be empty, a web page or a truncated
    gzip. A run
    that is killed while it moves the files leaves the file INCOMPLETE, which `prepare` refuses.
    """
    lines = []
    with staging_dir(raw) as staging, raw_sources.open_archive(archive) as files:
        matches = [_match(candidates, files, archive) for candidates in spec.files.values()]
        for candidates, (file, name) in zip(spec.files.values(), matches):
            if name is None:
                status, preferred = "not there", candidates
            else:
                with open(staging / file.name, "wb") as out:
                    status = copy_and_verify(files, name, file, out, raw / file.name)
                preferred = candidates[: candidates.index(file)]
            older = next(
                (raw / other.name for other in preferred if (raw / other.name).is_file()), None
            )
            if older is not None:
                status += f"; {older} is of an earlier fetch and is read: remove it if it is not"
                status += " of the same version"
            elif name is None:
                status += "; it is optional"
            lines.append(f"{file.name}: {status}")
        _move_all(staging, raw)
    return lines


def _move_all(staging: Path, raw: Path) -> None:
    """Move the files into `raw`. While versions can be mixed, the file INCOMPLETE exists."""
    marker = raw / INCOMPLETE
    with open(marker, "w", encoding="utf-8") as file:
        file.write("An import of raw files was interrupted. Run `llm4rec fetch` again.\n")
        file.flush()
        os.fsync(file.fileno())
    for path in sorted(staging.iterdir()):
        path.chmod(0o644)
        path.replace(raw / path.name)
    marker.unlink()


def _match(
    candidates: list[RawFile], files: raw_sources.FileOpeners, archive: str | Path
) -> tuple[RawFile, str | None]:
    """The first candidate that exists and its path, or the first candidate and None."""
    for file in candidates:
        name = raw_sources.find_file(files, file.name)
        if name is not None:
            return file, name
    if candidates[0].optional:
        return candidates[0], None
    names = " or ".join(file.name for file in candidates)
    hint = raw_sources.describe_contents(archive, files)
    raise InputError(f"there is no {names} in it", file=archive, hint=hint)


def copy_and_verify(
    files: raw_sources.FileOpeners, name: str, file: RawFile, out: IO[bytes], target: Path
) -> str:
    """Copy the file at `name` to `out`, unpacked from gzip unless `file` is a gzip itself.

    Returns what the checksum shows. Raises InputError, with the path `target`, for a wrong checksum
    and for content that is not data.
    """
    sha256 = hashlib.sha256()
    with files[name]() as opened:
        unpack = name.endswith(".gz") and not file.name.endswith(".gz")
        source = cast(IO[bytes], gzip.GzipFile(fileobj=opened)) if unpack else opened
        with raw_sources.reraise_corrupt_archive(
            f"{name} is corrupt, perhaps cut short", target.name
        ):
            for block in _blocks(source, file.name, file.bytes):
                out.write(block)
                sha256.update(block)
    out.flush()
    os.fsync(out.fileno())  # a full disk shows here, before any file is replaced
    if file.sha256 is None and file.git_blob is None:
        _refuse_other_content(Path(out.name), name.endswith(".gz") and not unpack, target)
    return verify_checksum(Path(out.name), file, sha256.hexdigest(), target)


def _blocks(file: IO[bytes], name: str, n_bytes: int | None) -> Iterator[bytes]:
    """The content of `file`, with a progress bar. n_bytes: its size, if known."""
    from tqdm import tqdm

    with tqdm(total=n_bytes, unit="B", unit_scale=True, desc=name, disable=None) as bar:
        while block := file.read(_BLOCK):
            yield block
            bar.update(len(block))


def _refuse_other_content(path: Path, packed: bool, target: Path) -> None:
    """Without a checksum: refuse an empty file, a server's error page and a truncated gzip."""
    with open(path, "rb") as file:
        beginning = file.read(512).lstrip().lower()
    if not beginning:
        raise InputError("it is empty", file=target, hint=_NOT_IMPORTED)
    if beginning.startswith((b"<!doctype", b"<html")):
        raise InputError("it is a web page, not data", file=target, hint=_NOT_IMPORTED)
    if packed:
        message = "not a complete gzip, perhaps cut short"
        with (
            raw_sources.reraise_corrupt_archive(message, target, _NOT_IMPORTED),
            gzip.open(path) as content,
        ):
            for _ in _blocks(cast(IO[bytes], content), f"check {target.name}", None):
                pass  # the checksum of a gzip is at its end


def verify_checksum(path: Path, file: RawFile, sha256: str, target: Path) -> str:
    """What the checksum of the file at `path` shows. sha256: of its content.

    Raises InputError, with the path `target` and both checksums, for a wrong one.
    """
    if file.sha256 is not None:
        kind, expected, actual = "SHA-256", file.sha256, sha256
    elif file.git_blob is not None:
        kind, expected, actual = "git blob SHA-1", file.git_blob, git_blob(path)
    else:
        return f"no checksum is pinned; its SHA-256 is {sha256}"
    if actual != expected:
        message = f"wrong {kind}: {actual} instead of {expected}"
        raise InputError(message, file=target, hint=_NOT_IMPORTED)
    return f"{kind} is right"


def git_blob(path: Path) -> str:
    """The SHA-1 by which git names a file: of `blob <bytes>`, a NUL byte and the content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


# `llm4rec fetch --check` compares a data set with its specification.


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
        with (
            raw_sources.reraise_corrupt_archive("corrupt, perhaps cut short", path),
            gzip.open(path) as packed,
        ):
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
