"""Take a data set's raw files out of a folder or an archive, checked against their checksums."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import IO, cast

from llm4rec_recbole.data.places import BROKEN, Openers, find, open_place
from llm4rec_recbole.data.source import RawFile, Source
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import replacing

_BLOCK = 1 << 20


def take(source: Source, place: str | Path, raw: Path) -> list[str]:
    """Copy the data set's files from the folder or archive `place` into `raw`; tell of each.

    Of the files that can play a role, the first that is there is taken. Raises InputError, and
    leaves an older file as it was, for a wrong checksum; for a file that must be there and is not.
    """
    said = []
    with open_place(place) as files:
        for candidates in source.files.values():
            pairs = ((file, find(files, file.name)) for file in candidates)
            file, name = next(((f, n) for f, n in pairs if n is not None), (candidates[0], None))
            if name is not None:
                said.append(f"{file.name}: {copy(files, name, file, raw / file.name)}")
            elif file.optional:
                said.append(f"{file.name}: not there; it is optional")
            else:
                names = " or ".join(file.name for file in candidates)
                raise InputError(f"there is no {names} in it", file=place)
    return said


def copy(files: Openers, name: str, wanted: RawFile, target: Path) -> str:
    """Copy the file `name` of a place to `target`, unpacked from gzip unless that is its name.

    Returns what its checksum says. Raises InputError for a wrong one: `target` is not touched.
    """
    with files[name]() as opened, replacing(target) as out:
        unpack = name.endswith(".gz") and not wanted.name.endswith(".gz")
        file = cast(IO[bytes], gzip.GzipFile(fileobj=opened)) if unpack else opened
        sha256, n_bytes = hashlib.sha256(), 0
        try:
            while block := file.read(_BLOCK):
                out.write(block)
                sha256.update(block)
                n_bytes += len(block)
        except BROKEN as error:
            message = f"{name} is broken, perhaps cut short: {error}"
            raise InputError(message, file=target.name) from None
        out.flush()
        return verdict(Path(out.name), wanted, sha256.hexdigest(), target)


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
        raise InputError(message, file=named, hint="it is not taken; an older one stays")
    return f"{kind} is right"


def git_blob(path: Path) -> str:
    """The SHA-1 that git knows a file by: of `blob <bytes>`, a NUL byte, and the content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
