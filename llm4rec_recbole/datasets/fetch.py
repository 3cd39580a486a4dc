"""Gets a data set's raw files into <data_path>/<name>/raw, with their checksums verified.

The files come from a download (download.py), or from a person's own folder or archive.
`llm4rec fetch` is the command (cli/datasets.py). The property file names the files (spec.py).
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from llm4rec_recbole.datasets import archives
from llm4rec_recbole.datasets.download import Refused, download
from llm4rec_recbole.datasets.replace_files import staging_dir
from llm4rec_recbole.datasets.spec import DOWNLOADS, INCOMPLETE, DatasetSpec, RawFile
from llm4rec_recbole.errors import InputError

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
    with staging_dir(raw) as staging, archives.open_archive(archive) as files:
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
    candidates: list[RawFile], files: archives.FileOpeners, archive: str | Path
) -> tuple[RawFile, str | None]:
    """The first candidate that exists and its path, or the first candidate and None."""
    for file in candidates:
        name = archives.find_file(files, file.name)
        if name is not None:
            return file, name
    if candidates[0].optional:
        return candidates[0], None
    names = " or ".join(file.name for file in candidates)
    hint = archives.describe_contents(archive, files)
    raise InputError(f"there is no {names} in it", file=archive, hint=hint)


def copy_and_verify(
    files: archives.FileOpeners, name: str, file: RawFile, out: IO[bytes], target: Path
) -> str:
    """Copy the file at `name` to `out`, unpacked from gzip unless `file` is a gzip itself.

    Returns what the checksum shows. Raises InputError, with the path `target`, for a wrong checksum
    and for content that is not data.
    """
    sha256 = hashlib.sha256()
    with files[name]() as opened:
        unpack = name.endswith(".gz") and not file.name.endswith(".gz")
        source = cast(IO[bytes], gzip.GzipFile(fileobj=opened)) if unpack else opened
        with archives.reraise_corrupt_archive(f"{name} is corrupt, perhaps cut short", target.name):
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
            archives.reraise_corrupt_archive(message, target, _NOT_IMPORTED),
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
