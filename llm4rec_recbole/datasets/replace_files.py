"""The files of a data set are all of one version, whatever ends the run that writes them.

Files are written to a staging folder beside the old ones, and are moved when all of them are
complete and on the disk. The file by which the others are located (the interactions, or the
summary) is deleted first, and its new version is moved last. So it never stands beside files of
another version. Two runs cannot write one folder at the same time: the second one waits.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_PREFIX = ".raw."
_STAGING = re.compile(re.escape(_PREFIX) + "[a-z0-9_]{8}")  # a name that tempfile makes
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
        for stale in out.glob(f"{_PREFIX}*"):
            if _STAGING.fullmatch(stale.name):
                shutil.rmtree(stale, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=_PREFIX) as folder:
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
