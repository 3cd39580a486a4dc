"""Where files can be taken from: a folder, a zip, a tar (plain or compressed), a gzip, a file.

Nothing is unpacked as it lies there: only the wanted files are read, by their own names. An archive
with a path that leaves its folder is refused all the same: somebody made it to do harm.
"""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from llm4rec_recbole.errors import InputError

#: Path inside the place → opens that file for reading bytes.
Openers = dict[str, Callable[[], IO[bytes]]]
#: What reading a broken gzip or archive is documented to raise.
BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
)
#: And what it raises all the same: for a damaged name, size or sparse map; a damaged version or
#: kind of compression; tar headers that each announce another one.
_DAMAGED = (*BROKEN, ValueError, NotImplementedError, RecursionError)
_BLOCK = 1 << 20
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
#: How a file begins that was not opened as an archive → what to tell of it.
_BEGINNINGS = (
    (b"", "it is neither a zip nor a tar nor a gzip"),
    (b"PK", "it begins as a zip does but is no whole one, perhaps cut short"),
    (b"\x1f\x8b", "it is a gzip, but of no tar, and has another name"),
    (b"<", "it looks like a web page, not an archive"),
)


@contextmanager
def told_if_broken(message: str, file: str | Path, hint: str | None = None) -> Iterator[None]:
    """Raises InputError when what is read in the block is broken as an archive or as a gzip."""
    try:
        yield
    except InputError:
        raise
    except (*_DAMAGED, OSError) as error:
        # The disk's OSErrors are not the archive's: of those bz2's has no number, and seeking to a
        # damaged offset is an invalid argument.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        why = f": {error}" if str(error) else ""
        raise InputError(f"{message}{why}", file=file, hint=hint) from None


@contextmanager
def open_place(path: str | Path) -> Iterator[Openers]:
    """The files in the folder or archive at `path`, to be opened while the block runs.

    Raises InputError when it is not there, is a broken archive, or holds a path that leaves it.
    """
    path = Path(path)
    with told_if_broken("a broken archive, perhaps cut short", path):
        if path.is_dir():
            os.listdir(path)  # rglob finds nothing in a folder that may not be read
            files = (file for file in sorted(path.rglob("*")) if file.is_file())
            yield {str(file.relative_to(path)): _opener(file) for file in files}
        elif not path.is_file():
            raise InputError("there is no such file or folder", file=path)
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield _of_zip(path, archive)
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as tar:
                yield _of_tar(path, tar)
        else:
            yield {path.name: _opener(path)}


def find(files: Openers, name: str) -> str | None:
    """The file called `name`, gzip or not, wherever it lies in the place; None if there is none.

    Raises InputError when there are several equally deep.
    """
    other = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
    for wanted in (name, other):
        found = [file for file in files if PurePosixPath(file).name == wanted]
        depth = min((file.count("/") for file in found), default=0)
        found = [file for file in found if file.count("/") == depth]
        if len(found) > 1:
            raise InputError(f"there are several {wanted}: {', '.join(found)}")
        if found:
            return found[0]
    return None


def describe(path: str | Path, files: Openers) -> str:
    """What is at `path`, in a few words, for a person who expected another file in it."""
    path = Path(path)
    names = [name for name in files if not PurePosixPath(name).name.startswith(".")]
    if path.is_file() and names == [path.name]:
        with open(path, "rb") as file:
            beginning = file.read(512).lstrip()
        told = [words for start, words in _BEGINNINGS if beginning.startswith(start)]
        return told[-1] if beginning else "it is empty"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    held = f"it holds {', '.join(names[:3])}{more}" if names else "it holds no files"
    inner = next((name for name in names if name.lower().endswith(_ARCHIVES)), None)
    return held if inner is None else f"{held}; {inner} is an archive: unpack it and give that"


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: open(path, "rb")


def _of_zip(path: Path, archive: zipfile.ZipFile) -> Openers:
    def opener(name: str) -> Callable[[], IO[bytes]]:
        def opened() -> IO[bytes]:
            if names.count(name) > 1:
                raise InputError(f"there are several {name}", file=path, hint=hint)
            try:
                return archive.open(name)
            except RuntimeError as error:  # a password, or a compression that Python has not
                raise InputError(f"cannot read {name}: {error}", file=path, hint=hint) from None

        return opened

    hint = "unpack it yourself and give the folder"
    names = archive.namelist()
    _refuse_escapes(path, names)
    return {name: opener(name) for name in names if not name.endswith("/")}


def _of_tar(path: Path, tar: tarfile.TarFile) -> Openers:
    def opener(member: tarfile.TarInfo) -> Callable[[], IO[bytes]]:
        return lambda: cast(IO[bytes], tar.extractfile(member))

    members = tar.getmembers()
    assert tar.fileobj is not None
    while tar.fileobj.read(_BLOCK):
        pass  # a compressed one has its checksum at its end, behind the last member
    _refuse_escapes(path, [member.name for member in members])
    return {member.name: opener(member) for member in members if member.isfile()}


def _refuse_escapes(path: Path, names: list[str]) -> None:
    for name in names:
        inside = PurePosixPath(name.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or re.match("[A-Za-z]:", name):
            hint = "nothing was taken from it"
            raise InputError(f"{name!r} leaves the archive's folder", file=path, hint=hint)
