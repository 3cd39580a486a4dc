"""Files that are either the old version or the new one, never half of each."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """A file to write bytes to that becomes `path` when the block ends, and nothing if it fails.

    The bytes go to a temporary file in the same folder, reach the disk (fsync), and only then
    take the name: rename is atomic within a file system. Raises OSError, with the temporary file
    removed, when any step fails.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it private; a result is meant to be read
        os.replace(temporary, path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:  # a full disk names no file
            error.filename = str(path)
        raise


def write_atomically(path: str | Path, content: bytes | str) -> None:
    """Write `content` to `path` so that a crash or a full disk leaves the old file whole."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, keys in the given order, atomically."""
    write_atomically(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def properties_folder() -> Path:
    """The `properties/` folder: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "properties"
    return inside if inside.is_dir() else package.parent / "properties"


def sha256_of(*paths: str | Path) -> str:
    """SHA-256 (hex) of the files' contents, one after another."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
