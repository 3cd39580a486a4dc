"""Atomic writes, and reads of regular files only.

A reader sees the old version of a file or the new one, never a part of it. The new version is
written to `.<name>.<random>.tmp-llm4rec` in the same folder, reaches the disk, and is renamed. The
writer holds a lock (flock) on that temporary file, and the system releases the lock when the
process dies. So a temporary file without a lock is stale, and the next writer in the folder
removes it. A process id in the name would not do: containers that share a folder reuse the ids.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import importlib.machinery
import json
import math
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from llm4rec_recbole.errors import InputError

_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp-llm4rec")


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Open a binary file that becomes `path` when the block ends; on failure `path` is unchanged.

    Raises OSError when a step fails (the temporary file is removed), and InputError when `path` is
    a device, a pipe or a socket.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "not a regular file"
        raise InputError(f"cannot write here: it is {kind}", file=path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale_files(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp-llm4rec")
    file = _create_locked(temporary)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk names no file
            error.filename = str(path)
        raise


def _create_locked(path: Path) -> IO[bytes]:
    """Create a file and lock it. The umask decides who may read it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with suppress(OSError):  # a file system without locks: no other writer can lock it either
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return open(
                path, "w+b", opener=functools.partial(_opened, handle)
            )  # the file knows its name
        os.close(handle)  # another writer took it for stale before it was locked


def _opened(handle: int, path: str, flags: int) -> int:
    return handle


def remove_stale_files(folder: str | Path) -> None:
    """Remove the temporary files that killed processes left in `folder`."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                _remove_if_unlocked(entry.path)


def _remove_if_unlocked(path: str) -> None:
    with suppress(OSError):  # removed by another process, locked by its writer, or not ours
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        finally:
            os.close(handle)


def write_atomically(path: str | Path, content: bytes | str) -> None:
    """Write `content` to `path` so that a crash or a full disk leaves the old file intact."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, keys in the given order, atomically."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


# The files of a data set are all of one version, whatever ends the run that writes them. They are
# written to a staging folder beside the old ones. They are moved when all are complete and on the
# disk. The file by which the others are located (the interactions, or the summary) is deleted
# first, and its new version is moved last. So it never stands beside files of another version. Two
# runs cannot write one folder at the same time: the second one waits.

_STAGING_PREFIX = ".raw."
_STAGING_NAME = re.compile(
    re.escape(_STAGING_PREFIX) + "[a-z0-9_]{8}"
)  # a name that tempfile makes
_locked: set[tuple[int, int]] = set()  # device and inode of the folders this process has locked


@contextmanager
def locked(*folders: Path) -> Iterator[None]:
    """Hold an exclusive lock (flock) on each folder. Wait, and say so, while another run has one.

    The system releases the lock when the process ends, however it ends. A folder that this process
    has locked already stays so. A file system without flock locks nothing.
    """
    with ExitStack() as locks:
        for folder in sorted({folder.resolve() for folder in folders}):
            locks.enter_context(_lock(folder))
        yield


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    status = folder.stat()
    key = (status.st_dev, status.st_ino)
    if key in _locked:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: waiting for another run that uses it", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        _locked.add(key)
        yield
    finally:
        _locked.discard(key)
        os.close(handle)  # releases the lock


@contextmanager
def staging_dir(out: Path) -> Iterator[Path]:
    """An empty folder in `out`, deleted when the block ends. `out` is locked meanwhile.

    Staging folders that killed runs left are deleted first: the lock shows that no run uses them.
    An OSError about a file in the folder names the file in `out` that it would have become.
    """
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        for stale in out.glob(f"{_STAGING_PREFIX}*"):
            if _STAGING_NAME.fullmatch(stale.name):
                shutil.rmtree(stale, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=_STAGING_PREFIX) as folder:
            try:
                yield Path(folder)
            except OSError as error:
                name = error.filename
                if isinstance(name, str) and Path(folder) in Path(name).parents:
                    error.filename = str(out / Path(name).name)
                raise


def replace_dataset_files(new: Path, out: Path, key_file: str, stale_files: Iterable[str]) -> None:
    """Move every file of the folder `new` into `out`.

    key_file: the file by which the others are located. Its old version is deleted first and its new
    version is moved last. stale_files: names in `out` that the new version does not have.
    """
    for name in (key_file, *stale_files):
        (out / name).unlink(missing_ok=True)
    names = sorted(path.name for path in new.iterdir() if path.name != key_file)
    for name in (*names, key_file):
        (new / name).replace(out / name)


def open_regular(path: str | Path) -> IO[bytes]:
    """Open `path` for reading. A pipe or a device may have no end, so it is refused.

    Raises InputError when `path` is missing, unreadable, or not a regular file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe cannot block
    except FileNotFoundError:
        raise InputError("no such file", file=path) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot read it: {reason}", file=path) from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"
        raise InputError(f"not a regular file but {kind}", file=path)
    return open(handle, "rb")


def read_json(path: str | Path) -> Any:
    """The value in a JSON file. Raises FileNotFoundError where the file is absent.

    Raises InputError, with file and line, for text that is not JSON, NaN and Infinity, numbers
    beyond float64, and a file that may not be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text, parse_constant=_refuse, parse_int=_int, parse_float=_float)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", file=path, line=error.lineno) from error
    except UnicodeDecodeError as error:
        raise InputError("not JSON: the file is not text", file=path) from error
    except RecursionError as error:
        raise InputError("not JSON: nested too deeply", file=path) from error
    except ValueError as error:
        raise InputError(f"not a finite number: {error}", file=path) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from error


def _refuse(text: str) -> float:
    raise ValueError(text)


def _float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(_shortened(text))


def _int(text: str) -> int:
    if len(text) > 300:  # float64 ends at 1.8e308
        _refuse(_shortened(text))
    return int(text)


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}…"


def properties_folder() -> Path:
    """The `properties/` folder: inside the installed package, or at the top of a checkout."""
    return _data_folder("properties", "properties")


def printed_folder() -> Path:
    """`paper_tables/printed`: inside the installed package, or at the top of a checkout."""
    return _data_folder("printed", "paper_tables/printed")


def _data_folder(inside: str, beside: str) -> Path:
    package = Path(__file__).resolve().parent
    return package / inside if (package / inside).is_dir() else package.parent / beside


@functools.cache
def recbole_folder() -> Path:
    """The folder of the installed recbole package, without importing it.

    Raises InputError when recbole is not installed.
    """
    spec = importlib.machinery.PathFinder.find_spec("recbole")
    if spec is None or not spec.submodule_search_locations:
        raise InputError("RecBole is not installed", hint="pip install --no-deps recbole==1.2.1")
    return Path(next(iter(spec.submodule_search_locations)))


def sha256_of(*paths: str | Path) -> str:
    """SHA-256 (hex) of the files' contents, one after another."""
    digest = hashlib.sha256()
    block = memoryview(bytearray(1 << 18))  # stays in the processor's cache
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while n_bytes := file.readinto(block):
                digest.update(block[:n_bytes])
    return digest.hexdigest()
