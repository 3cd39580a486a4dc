"""Checkpoints that are data, never code: one safetensors file with JSON in its header.

    tree  = {"state_dict": {"w": tensor}, "epoch": 3, "optimizer": {"state": {0: {...}}}, ...}
    file  = safetensors: every tensor or array under a number, and in the header
            {"format": "llm4rec checkpoint 1", "tree": '{"state_dict": {"w": {"$tensor": "0"}}, …}'}

Being one file, it is written atomically: a crash or a full disk while saving leaves the one before
whole. Nothing in it can be executed; a pickle is refused by its first bytes.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically

FORMAT = "llm4rec checkpoint 1"
HINT = "a checkpoint is a .safetensors file that this project wrote"


def save(path: str | Path, tree: dict[str, Any]) -> None:
    """Write `tree` to `path` atomically.

    A tree is a dict whose values are dicts, lists, tuples, strings, numbers, None, torch tensors,
    NumPy arrays and SciPy sparse matrices. Raises TypeError, naming the place, for anything else.
    """
    from safetensors.torch import save as to_bytes

    tensors: dict[str, Any] = {}
    text = json.dumps(_pack(tree, tensors, "checkpoint"))
    write_atomically(path, to_bytes(tensors, {"format": FORMAT, "tree": text}))


def load(path: str | Path, device: Any = "cpu") -> dict[str, Any]:
    """The tree that `save` wrote to `path`, its tensors on `device`.

    Raises InputError for a file that is missing, a pickle (unread), truncated, or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    _refuse_pickle(path)
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError("truncated, or not a checkpoint", file=path, hint=HINT) from error
    if header.get("format") != FORMAT:
        raise InputError("not a checkpoint of this project", file=path, hint=HINT)
    return _unpack(json.loads(header["tree"]), tensors)


def _refuse_pickle(path: str | Path) -> None:
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise InputError(f"no such checkpoint: {error.strerror}", file=path) from error
    a_zip, a_pickle = start.startswith(b"PK\x03\x04"), start.startswith(b"\x80")
    if (a_zip or a_pickle) and start[8:] != b"{":  # safetensors: eight bytes of length, then JSON
        raise InputError("this is a pickle, which is never loaded", file=path, hint=HINT)


def _pack(value: Any, tensors: dict[str, Any], place: str) -> Any:
    """`value` as JSON; its tensors and arrays go to `tensors`, each under a number."""
    import numpy as np
    import torch
    from scipy import sparse

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if sparse.issparse(value):  # before dict: a dok_matrix is one
        rows = value.tocsr()
        parts = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr}
        packed = {key: _pack(part, tensors, place) for key, part in parts.items()}
        return {"$sparse": value.format, "shape": list(value.shape), **packed}
    if isinstance(value, dict):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: _pack(item, tensors, f"{place}.{key}") for key, item in value.items()}
        return {"$pairs": [_pack([*pair], tensors, f"{place}.{pair[0]}") for pair in value.items()]}
    if isinstance(value, list | tuple):
        items = [_pack(item, tensors, f"{place}[{i}]") for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        kind, tensor = "$array", torch.from_numpy(np.ascontiguousarray(value))
    elif isinstance(value, torch.Tensor) and value.layout == torch.strided:
        kind, tensor = "$tensor", value.detach().cpu().contiguous()
    else:
        raise TypeError(f"{place} is a {type(value).__name__}, which a checkpoint cannot hold")
    name = str(len(tensors))
    tensors[name] = tensor.clone()  # tied weights may not share memory in a file
    return {kind: name}


def _unpack(value: Any, tensors: dict[str, Any]) -> Any:
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
        parts = [_unpack(value[key], tensors) for key in ("data", "indices", "indptr")]
        return sparse.csr_matrix(tuple(parts), shape=value["shape"]).asformat(value["$sparse"])
    return {key: _unpack(item, tensors) for key, item in value.items()}


def random_state() -> dict[str, Any]:
    """Where every random generator stands: Python's, NumPy's, torch's, and each GPU's."""
    import numpy as np
    import torch

    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 (RecBole draws from it)
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put every random generator where `random_state` found it."""
    import numpy as np
    import torch

    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])
