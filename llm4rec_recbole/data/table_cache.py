"""A columnar copy of a large, checked `.inter` file, read in a fraction of the time.

    <dataset>.inter  ─▶  cache/<dataset>.inter.npz    user_id:token   (N,) int32, a token's number
                                                      user_id:tokens  the tokens, one a line, UTF-8
                                                      timestamp:float (N,) float64
                                                      about           what file it was made from

It serves as long as the `.inter` file has the size and the time of change that it was made from,
and is made anew otherwise, or where its checksums (a zip file has one for each array) do not fit;
deleting it loses nothing. It is never a pickle.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data.atomic_rows import MISSING
from llm4rec_recbole.files import replacing

if TYPE_CHECKING:
    import pandas as pd


LEAST_BYTES = 1 << 24  # of a file that is worth a cache: seconds of reading
_FORMAT = 1
#: What NumPy and zipfile raise for bytes that are not what was written.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile)


def checked(path: str | Path, required: Sequence[str], check: Callable[[Path], None]) -> None:
    """`check` the `.inter` file at `path` and make its cache, unless there is one that says that
    the file passed for these `required` columns. `check` raises InputError for a bad file.

    A file that is small, or has columns other than tokens and floats, gets none.
    """
    path = Path(path)
    if _is_fresh(path, required):
        return
    about = _about(path) if path.is_file() else {}  # before it is read: it may change meanwhile
    check(path)
    if about.get("bytes", 0) >= LEAST_BYTES and (columns := _read_file(path)) is not None:
        _write(path, columns, about | {"required": list(required)})


def cached_table(
    path: str | Path, wanted: Callable[[str], bool] = lambda field: True
) -> tuple[pd.DataFrame, dict[str, str]] | None:
    """The `wanted` columns of the `.inter` file at `path`, tokens as categories, and the type of
    each of the file's columns; None where there is no cache of the file as it is now."""
    import pandas as pd

    try:
        with np.load(_place(Path(path)), allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            if not _about(Path(path)).items() <= about.items():
                return None
            columns: dict[str, Any] = {}
            for field, kind in about["types"].items():
                if not wanted(field):
                    continue
                columns[field] = arrays[f"{field}:{kind}"]
                if kind == "token":
                    tokens = arrays[f"{field}:tokens"].tobytes().decode().split("\n")
                    columns[field] = pd.Categorical.from_codes(columns[field], tokens)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except _DAMAGE as error:  # found in reading: the file serves now, the next start makes it anew
        _discard(_place(Path(path)), error)
        return None
    return pd.DataFrame(columns, copy=False), about["types"]


def _place(path: Path) -> Path:
    return path.parent / "cache" / f"{path.name}.npz"


def _about(path: Path) -> dict[str, Any]:
    """What must be as it was when the cache was made."""
    stat = path.stat()
    return {"format": _FORMAT, "bytes": stat.st_size, "changed": stat.st_mtime_ns}


def _is_fresh(path: Path, required: Sequence[str]) -> bool:
    """Whether there is a cache of the file as it is now; reading finds out whether it is whole."""
    place = _place(path)
    try:
        with np.load(place, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            fresh = _about(path).items() <= about.items()
            return bool(fresh and set(required) <= set(about["required"]))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except _DAMAGE as error:
        _discard(place, error)
        return False


def _discard(place: Path, damage: Exception) -> None:
    print(f"{place}: the cache is damaged ({damage}) and is made anew", file=sys.stderr)
    place.unlink(missing_ok=True)


def _read_file(path: Path) -> dict[str, Any] | None:
    """The file's columns as Arrow arrays, {name:type: array}; None where this cannot hold them."""
    import pyarrow as pa
    from pyarrow import csv

    with open(path, encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split("\t")
    arrow = {"token": pa.dictionary(pa.int32(), pa.string()), "float": pa.float64()}
    kinds = {name: name.rpartition(":")[2] for name in names}
    if not set(kinds.values()) <= set(arrow):
        return None
    try:
        table = csv.read_csv(
            path,
            csv.ReadOptions(block_size=1 << 24),
            csv.ParseOptions(delimiter="\t", quote_char=False),
            csv.ConvertOptions(
                column_types={name: arrow[kind] for name, kind in kinds.items()},
                null_values=["", *(word.decode() for word in MISSING)],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:  # a number as Arrow does not write it: "+5"
        return None
    floats = [table[name].to_numpy() for name in names if kinds[name] == "float"]
    if any((np.abs(values) >= 2**53).any() for values in floats):  # written exactly, kept rounded
        return None
    return {name: table[name].unify_dictionaries() for name in names}


def _write(path: Path, columns: dict[str, Any], about: dict[str, Any]) -> None:
    """Write the cache, atomically; say so in one line where that cannot be."""
    arrays: dict[str, Any] = {}
    for name, column in columns.items():
        field, _, kind = name.rpartition(":")
        if kind == "token":
            codes = [chunk.indices.fill_null(-1).to_numpy() for chunk in column.chunks]
            tokens = column.chunk(0).dictionary.to_pylist()
            arrays[name] = np.concatenate(codes)
            arrays[f"{field}:tokens"] = np.frombuffer("\n".join(tokens).encode(), dtype=np.uint8)
        else:
            arrays[name] = column.to_numpy()
    types = {name.rpartition(":")[0]: name.rpartition(":")[2] for name in columns}
    arrays["about"] = np.array(json.dumps(about | {"types": types}))
    try:
        with replacing(_place(path)) as file:
            np.savez(file, **arrays)
    except OSError as error:
        print(f"{_place(path)}: no cache: {error.strerror}", file=sys.stderr)
