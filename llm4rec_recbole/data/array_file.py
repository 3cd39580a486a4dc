"""Arrays in one file, which a program maps into memory and reads where it needs them.

    one line of JSON: what the caller writes of its origin, each array's type, length and position,
    and the sum of the rest
    the arrays, each at a multiple of 64 bytes

Nothing in it can be executed. Whoever reads it gets arrays that may be written to; the file stays
as it is.
"""

from __future__ import annotations

import json
import mmap
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.files import open_regular, replacing

ALIGNMENT = 64  # bytes; Arrow reads aligned columns without copying them
_BLOCK = 1 << 17  # words of 8 bytes
_LONGEST_LINE = 1 << 20  # bytes
_SUM = "sum"  # the key of the first line's own checksum


def checksum(content: memoryview | bytes) -> str:
    """A sum of the whole content, ten times as fast as CRC-32.

    The 64-bit words of each MiB are added up, and the CRC-32 of these sums is returned. So a change
    of one word, and of anything between two MiB, changes the checksum.
    """
    n_words = len(content) // 8
    words = np.frombuffer(content, dtype=np.uint64, count=n_words)
    whole = n_words // _BLOCK * _BLOCK
    sums = words[:whole].reshape(-1, _BLOCK).sum(1)
    rest = words[whole:].sum(keepdims=True)
    end = zlib.crc32(bytes(content[n_words * 8 :]))
    return f"{zlib.crc32(np.append(sums, rest).tobytes(), end):08x}"


def header(about: dict[str, Any]) -> bytes:
    """`about` and its CRC-32 as a line of JSON, whose length is a multiple of the alignment."""
    text = json.dumps(about | {_SUM: _sum_of(about)}).encode() + b" "
    return text.ljust(-(-len(text) // ALIGNMENT) * ALIGNMENT - 1) + b"\n"


def read_header(path: Path) -> dict[str, Any]:
    """What `header` wrote to the first line. Raises OSError, or ValueError where it is changed."""
    with open_regular(path) as file:
        return _parsed(file.readline(_LONGEST_LINE))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        about = json.loads(line)
    except RecursionError:
        about = None
    if not isinstance(about, dict) or about.pop(_SUM, None) != _sum_of(about):
        raise ValueError("its first line has another checksum")
    return about


def _sum_of(about: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(about).encode()):08x}"


def map_file(path: Path) -> tuple[dict[str, Any], memoryview]:
    """The line of JSON, and what follows it, mapped. Writing to it leaves the file as it is.

    Raises OSError, or ValueError where the checksum of `about` is not that of the rest.
    """
    with open_regular(path) as file:
        line = file.readline(_LONGEST_LINE)
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))[len(line) :]
    about = _parsed(line)
    if checksum(content) != about["checksum"]:
        raise ValueError("its checksum does not match")
    return about, content


def write_arrays(
    path: Path, about: dict[str, Any], arrays: dict[str, np.ndarray], types: dict[str, Any]
) -> None:
    """Write the arrays (n,) atomically, some as other `types`. Raises OSError when a step fails."""
    position, layout = 0, {}
    for name, array in arrays.items():
        dtype = np.dtype(types.get(name, array.dtype))
        layout[name] = [dtype.str, len(array), position]
        position += -(-len(array) * dtype.itemsize // ALIGNMENT) * ALIGNMENT
    about = about | {"arrays": layout}
    with replacing(path) as file:
        line = header(about | {"checksum": "0" * 8})
        file.write(line)
        for name, array in arrays.items():
            for start in range(0, len(array), _BLOCK):
                block = array[start : start + _BLOCK].astype(layout[name][0], copy=False)
                file.write(np.ascontiguousarray(block).data)
            file.write(bytes(-(file.tell() - len(line)) % ALIGNMENT))
        file.flush()
        with memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as content:
            total = checksum(content[len(line) :])
        file.seek(0)
        file.write(header(about | {"checksum": total}))


def map_arrays(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What `write_arrays` wrote.

    Raises OSError, and ValueError, KeyError or TypeError for a damaged file.
    """
    about, content = map_file(path)
    arrays = {}
    for name, (kind, length, position) in about["arrays"].items():
        dtype = np.dtype(kind)
        if dtype.kind not in "iufb":
            raise ValueError(f"an array of type {kind}")
        arrays[name] = np.frombuffer(content, dtype, length, position)
    return about, arrays
