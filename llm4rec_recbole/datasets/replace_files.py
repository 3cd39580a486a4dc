"""The files of a data set are all of one version, whatever ends the run that makes them.

They are written into a scratch folder beside the old ones and take their names when all of them are
whole and on the disk. First the old file goes by which the others are found, the interactions or
the summary, and the new one comes last: it never stands beside files of another version.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = ".raw."
_SCRATCH = re.compile(re.escape(_PREFIX) + "[a-z0-9_]{8}")  # as tempfile names them
_STALE = 24 * 3600  # seconds; a scratch folder that old belongs to no run that is alive


@contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """An empty folder in `out` that is gone when the block ends.

    What killed runs left there is removed if it is older than a day. An OSError about a file in the
    folder names the one in `out` that it was to become.
    """
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # another run has just ended
            if _SCRATCH.fullmatch(left.name) and time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=_PREFIX) as folder:
        try:
            yield Path(folder)
        except OSError as error:
            if error.filename is not None and Path(folder) in Path(error.filename).parents:
                error.filename = str(out / Path(error.filename).name)
            raise


def swap(new: Path, out: Path, last: str, gone: Iterable[str]) -> None:
    """Move every file of the folder `new` into `out`, the file `last` last; an older one of that
    name goes first, then the files `gone`, which the new version does not have."""
    for name in (last, *gone):
        (out / name).unlink(missing_ok=True)
    names = sorted(path.name for path in new.iterdir() if path.name != last)
    for name in (*names, last):
        (new / name).replace(out / name)
