"""Checkpoints as data, never as code: one safetensors file, with JSON in its header.

    tree  = {"state_dict": {"w": tensor}, "epoch": 3, "optimizer": {"state": {0: {...}}}, ...}
    file  = safetensors: every tensor or array under a number, and in the header's metadata
            format    "llm4rec checkpoint 2"
            finished  "1" once the run has written its record, else "0"
            sha256    of the whole file, with zeros in place of these 64 digits
            tree      '{"state_dict": {"w": {"$tensor": "0"}}, "epoch": 3, …}'

One file is written atomically: after a crash or with a full disk, the previous version is intact.
Nothing in the file can be executed; a pickle is refused by its first bytes. The checksum covers
every byte, so a damaged header, a changed weight and a truncated file are all refused.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from pathlib import Path
from typing import Any, NamedTuple

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import open_regular, replacing

FORMAT = "llm4rec checkpoint 2"
HINT = "a checkpoint is a .safetensors file that this project wrote"
STOPPED = ".stopped"  # ends the name of the training state of a run that a signal stopped
_ZEROS = "0" * 64
_DAMAGED = "damaged, truncated, or not a checkpoint"


class Header(NamedTuple):
    """What a checkpoint says about itself: the run's model, data set and options; its state."""

    run: dict[str, Any]
    finished: bool  # whether the run has written its record


def save(path: str | Path, tree: dict[str, Any]) -> None:
    """Write `tree` to `path` atomically, as the checkpoint of a run that is not finished.

    A tree is a dict whose values are dicts, lists, tuples, strings, numbers, None, torch tensors,
    NumPy arrays and SciPy sparse matrices. Raises TypeError, with the key, for anything else.
    """
    write_packed(path, pack(tree))


class Packed(NamedTuple):
    """A copy of a tree, as `save` writes it; the tree may change afterwards."""

    text: str  # the tree as JSON
    tensors: dict[str, Any]


def pack(tree: dict[str, Any]) -> Packed:
    """Copy `tree`, to be written later. Raises TypeError as `save` does."""
    tensors: dict[str, Any] = {}
    return Packed(json.dumps(_pack(tree, tensors, "checkpoint")), tensors)


def write_packed(path: str | Path, packed: Packed) -> None:
    """Write a tree that `pack` copied to `path`, as `save` does."""
    from safetensors.torch import save as to_bytes

    metadata = {"format": FORMAT, "finished": "0", "sha256": _ZEROS, "tree": packed.text}
    _write(path, *_split(to_bytes(packed.tensors, metadata), path))


def mark_finished(path: str | Path) -> None:
    """Record in the checkpoint at `path` that its run has written its record.

    Raises InputError for a file that `load` refuses.
    """
    header, body = _read(path)
    text = header.replace(b'"finished":"0"', b'"finished":"1"', 1)
    _write(path, text.replace(_digest_of(header).encode(), _ZEROS.encode(), 1), body)


def read_header(path: str | Path) -> Header:
    """Model, data set and options of the run that wrote `path`, without reading its tensors.

    Raises InputError for a file that is no checkpoint. Its checksum is not verified.
    """
    with open_regular(path) as file:
        start = file.read(9)
        _refuse_pickle(start, path)
        length = int.from_bytes(start[:8], "little")
        header = start + file.read(max(0, min(length, 1 << 30) - 1))
    metadata = _metadata(header, path)
    try:
        run = json.loads(metadata["tree"]).get("config")
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(_DAMAGED, file=path, hint=HINT) from error
    return Header(run if isinstance(run, dict) else {}, metadata.get("finished") == "1")


def load(path: str | Path, device: Any = "cpu") -> dict[str, Any]:
    """The tree that `save` wrote to `path`, its tensors on `device`.

    Raises InputError for a file that is missing, not a regular file, a pickle (never read),
    truncated, of another kind, or changed since it was written, and for a tensor that holds NaN.
    """
    header, body = _read(path)
    try:
        tensors = _tensors(json.loads(header[8:]), body, device)
        tree = _unpack(json.loads(_metadata(header, path)["tree"]), tensors)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        raise InputError(_DAMAGED, file=path, hint=HINT) from error
    if not isinstance(tree, dict):
        raise InputError(_DAMAGED, file=path, hint=HINT)
    _refuse_nan(tree, path, "")
    return tree


# The file: eight bytes with the header's length, the header (JSON), the tensors' bytes.


def _split(content: bytes, path: str | Path) -> tuple[bytes, memoryview]:
    """The header with its eight bytes of length, and the tensors' bytes."""
    end = 8 + int.from_bytes(content[:8], "little")
    if not 8 < end <= len(content):
        raise InputError(_DAMAGED, file=path, hint=HINT)
    return content[:end], memoryview(content)[end:]


def _write(path: str | Path, header: bytes, body: memoryview) -> None:
    """Write header and tensors; zeros stand for the checksum in `header`."""
    digest = hashlib.sha256(header)
    digest.update(body)
    key = b'"sha256":"'
    with replacing(path) as file:
        file.write(header.replace(key + _ZEROS.encode(), key + digest.hexdigest().encode(), 1))
        file.write(body)


def _read(path: str | Path) -> tuple[bytes, memoryview]:
    """Header and tensors of the file at `path`, after its checksum was verified."""
    with open_regular(path) as file:
        start = file.read(9)
        _refuse_pickle(start, path)
        if len(start) < 9:
            raise InputError(_DAMAGED, file=path, hint=HINT)
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    header, body = _split(content, path)  # type: ignore[arg-type]
    _metadata(header, path)
    claimed = _digest_of(header)
    digest = hashlib.sha256(header.replace(claimed.encode(), _ZEROS.encode(), 1))
    digest.update(body)
    if digest.hexdigest() != claimed:
        message = "changed since it was written: its checksum does not match"
        raise InputError(message, file=path, hint="restore the file or train again")
    return header, body


def _metadata(header: bytes, path: str | Path) -> dict[str, str]:
    """The header's metadata. Raises InputError unless this project wrote it, in this format."""
    try:
        metadata = json.loads(header[8:]).get("__metadata__") or {}
        version = metadata.get("format")
    except (ValueError, AttributeError, RecursionError) as error:
        raise InputError(_DAMAGED, file=path, hint=HINT) from error
    if version != FORMAT:
        ours = isinstance(version, str) and version.startswith(FORMAT.rstrip("0123456789"))
        message = f"{version}, not {FORMAT}" if ours else "not a checkpoint of this project"
        raise InputError(message, file=path, hint="train again" if ours else HINT)
    if not all(isinstance(metadata.get(name), str) for name in ("finished", "sha256", "tree")):
        raise InputError(_DAMAGED, file=path, hint=HINT)
    return metadata


def _digest_of(header: bytes) -> str:
    """The checksum that the header states; "" when it states none."""
    match = re.search(rb'"sha256":"([0-9a-f]{64})"', header)
    return match[1].decode() if match else ""


def _tensors(header: dict[str, Any], body: memoryview, device: Any) -> dict[str, Any]:
    """The tensors by number, on `device`. Raises ValueError or RuntimeError for a misfit."""
    import torch

    types = {
        **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16},
        **{"BF16": torch.bfloat16, "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8},
        **{"I16": torch.int16, "I32": torch.int32, "I64": torch.int64, "C64": torch.complex64},
        **{"U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64},
        **{"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2},
    }
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, stop = entry["data_offsets"]
            dtype, shape = types[entry["dtype"]], entry["shape"]
            data = bytearray(body[start:stop])  # a copy that torch may write to
            flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
            tensors[name] = flat.reshape(shape).to(device)
    return tensors


# The tree: JSON, in which `$tensor`, `$array`, `$tuple`, `$pairs` and `$sparse` mark other types.


def _refuse_pickle(start: bytes, path: str | Path) -> None:
    """Raise InputError when a file with these first nine bytes is a pickle."""
    a_zip, a_pickle = start.startswith(b"PK\x03\x04"), start.startswith(b"\x80")
    if (a_zip or a_pickle) and start[8:] != b"{":  # safetensors: eight bytes of length, then JSON
        raise InputError("this is a pickle, which is never loaded", file=path, hint=HINT)


def _pack(value: Any, tensors: dict[str, Any], name: str) -> Any:
    """`value` as JSON; its tensors and arrays are added to `tensors`, each under a number."""
    import numpy as np
    import torch
    from scipy import sparse

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if sparse.issparse(value):  # before dict: a dok_matrix is one
        rows = value.tocsr()
        arrays = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr}
        packed = {key: _pack(array, tensors, name) for key, array in arrays.items()}
        return {"$sparse": value.format, "shape": list(value.shape), **packed}
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _pack(item, tensors, f"{name}.{key}") for key, item in value.items()}
        return {"$pairs": [_pack([*pair], tensors, f"{name}.{pair[0]}") for pair in value.items()]}
    if isinstance(value, list | tuple):
        items = [_pack(item, tensors, f"{name}[{i}]") for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        mark, tensor = "$array", torch.from_numpy(np.ascontiguousarray(value))
    elif isinstance(value, torch.Tensor) and value.layout == torch.strided:
        mark, tensor = "$tensor", value.detach().cpu().contiguous()
    else:
        raise TypeError(f"{name} is a {type(value).__name__}, which a checkpoint cannot hold")
    number = str(len(tensors))
    tensors[number] = tensor.clone()  # tied weights may not share memory in a file
    return {mark: number}


def _unpack(value: Any, tensors: dict[str, Any]) -> Any:
    """The value that `_pack` was given."""
    from scipy import sparse

    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        return tensors[value["$tensor"]]
    if "$array" in value:
        return tensors[value["$array"]].cpu().numpy()
    if "$tuple" in value:
        return tuple(_unpack(item, tensors) for item in value["$tuple"])
    if "$pairs" in value:
        return {key: _unpack(item, tensors) for key, item in value["$pairs"]}
    if "$sparse" in value:
        arrays = [_unpack(value[key], tensors) for key in ("data", "indices", "indptr")]
        return sparse.csr_matrix(tuple(arrays), shape=value["shape"]).asformat(value["$sparse"])
    return {key: _unpack(item, tensors) for key, item in value.items()}


def _refuse_nan(tree: Any, path: str | Path, name: str) -> None:
    """Raise InputError for the first tensor in `tree` that holds NaN: a model made of it scores
    nothing."""
    import torch

    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, dict | list | tuple):
            _refuse_nan(value, path, f"{name}{key}.")
        elif isinstance(value, torch.Tensor) and value.is_floating_point() and value.isnan().any():
            raise InputError(f"{name}{key} holds NaN", file=path, hint="train again")
