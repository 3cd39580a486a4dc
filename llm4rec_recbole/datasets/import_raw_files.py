"""Take a data set's raw files out of a folder or an archive, checked against their checksums."""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from llm4rec_recbole.datasets.archives import Openers, describe, find, open_place, told_if_broken
from llm4rec_recbole.datasets.spec import RawFile, Source
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import replacing

_BLOCK = 1 << 20
_NOT_TAKEN = "it is not taken; an older one stays"


def take(source: Source, place: str | Path, raw: Path) -> list[str]:
    """Copy the data set's files from the folder or archive `place` into `raw`; tell of each.

    Of the files that can play a role, the first that is there is taken. All are taken or, with
    InputError, none: for a file that must be there and is not, a wrong checksum, and, where no
    checksum is known, for a gzip that is not whole, a web page and a file without content.
    """
    said = []
    with ExitStack() as copies, open_place(place) as files:
        matches = [_match(candidates, files, place) for candidates in source.files.values()]
        for candidates, (file, name) in zip(source.files.values(), matches):
            if name is None:
                told, better = "not there", candidates
            else:
                out = copies.enter_context(replacing(raw / file.name))  # all at the end, or none
                told = copy(files, name, file, out, raw / file.name)
                better = candidates[: candidates.index(file)]
            older = next((raw / one.name for one in better if (raw / one.name).is_file()), None)
            if older is not None:
                told += f"; {older} is of an earlier fetch and is read: remove it if it is not"
                told += " of the same version"
            elif name is None:
                told += "; it is optional"
            said.append(f"{file.name}: {told}")
    return said


def _match(
    candidates: list[RawFile], files: Openers, place: str | Path
) -> tuple[RawFile, str | None]:
    """The first of the candidates that is there, and its name there: None where none has to be."""
    for file in candidates:
        name = find(files, file.name)
        if name is not None:
            return file, name
    if candidates[0].optional:
        return candidates[0], None
    names = " or ".join(file.name for file in candidates)
    raise InputError(f"there is no {names} in it", file=place, hint=describe(place, files))


def copy(files: Openers, name: str, wanted: RawFile, out: IO[bytes], target: Path) -> str:
    """Copy the file `name` of a place to `out`, unpacked from gzip unless that is its name.

    Returns what its checksum says. Raises InputError, naming `target`, for a wrong one, and for
    what cannot be the file.
    """
    sha256 = hashlib.sha256()
    with files[name]() as opened:
        unpack = name.endswith(".gz") and not wanted.name.endswith(".gz")
        file = cast(IO[bytes], gzip.GzipFile(fileobj=opened)) if unpack else opened
        with told_if_broken(f"{name} is broken, perhaps cut short", target.name):
            for block in _blocks(file, wanted.name, wanted.bytes):
                out.write(block)
                sha256.update(block)
    out.flush()
    os.fsync(out.fileno())  # a full disk shows now, before any file has taken its name
    if wanted.sha256 is None and wanted.git_blob is None:
        _refuse_what_is_no_data(Path(out.name), name.endswith(".gz") and not unpack, target)
    return verdict(Path(out.name), wanted, sha256.hexdigest(), target)


def _blocks(file: IO[bytes], told: str, n_bytes: int | None) -> Iterator[bytes]:
    """The content of `file`, with a progress bar; `n_bytes` is how much it is, if known."""
    from tqdm import tqdm

    with tqdm(total=n_bytes, unit="B", unit_scale=True, desc=told, disable=None) as bar:
        while block := file.read(_BLOCK):
            yield block
            bar.update(len(block))


def _refuse_what_is_no_data(path: Path, packed: bool, target: Path) -> None:
    """Without a checksum: no answer of a server that has not the file, and no half of a gzip."""
    with open(path, "rb") as file:
        beginning = file.read(512).lstrip().lower()
    if not beginning:
        raise InputError("it is empty", file=target, hint=_NOT_TAKEN)
    if beginning.startswith((b"<!doctype", b"<html")):
        raise InputError("it is a web page, not data", file=target, hint=_NOT_TAKEN)
    if packed:
        message = "no whole gzip, perhaps cut short"
        with told_if_broken(message, target, _NOT_TAKEN), gzip.open(path) as content:
            for _ in _blocks(cast(IO[bytes], content), f"check {target.name}", None):
                pass  # its checksum is at its end


def verdict(path: Path, wanted: RawFile, sha256: str, named: Path) -> str:
    """`right` or `not pinned`, from the SHA-256 of the file at `path`, or its git blob's SHA-1.

    Raises InputError, naming the file `named` and both sums, for a wrong one.
    """
    if wanted.sha256 is not None:
        kind, expected, found = "SHA-256", wanted.sha256, sha256
    elif wanted.git_blob is not None:
        kind, expected, found = "git blob SHA-1", wanted.git_blob, git_blob(path)
    else:
        return f"no checksum is pinned; its SHA-256 is {sha256}"
    if found != expected:
        message = f"wrong {kind}: {found} instead of {expected}"
        raise InputError(message, file=named, hint=_NOT_TAKEN)
    return f"{kind} is right"


def git_blob(path: Path) -> str:
    """The SHA-1 that git knows a file by: of `blob <bytes>`, a NUL byte, and the content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
