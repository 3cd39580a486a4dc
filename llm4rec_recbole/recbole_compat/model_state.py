"""What a checkpoint of a RecBole run holds, and how weights are loaded from it."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from llm4rec_recbole import checkpoints
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of


def random_state() -> dict[str, Any]:
    """The state of every random generator: Python's, NumPy's, torch's, and each GPU's."""
    import numpy as np
    import torch

    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 (RecBole draws from it)
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Set every random generator to a `state` that `random_state` returned."""
    import numpy as np
    import torch

    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([generator.cpu() for generator in state["cuda"]])


#: Options that say where and how a run is watched; they do not change what it computes.
NOT_CONFIGURATION = {
    "results_dir",
    "checkpoint_dir",
    "show_progress",
    "quiet",
    "device",
    "resume",
    "energy_country",
}


def configuration(config: Any) -> str:
    """The options that decide the result, as JSON with sorted keys."""
    options = {
        key: value
        for key, value in config.final_config_dict.items()
        if key not in NOT_CONFIGURATION and not key.endswith("_path")
    }
    return json.dumps(options, sort_keys=True, default=str)


def describe_run(config: Any) -> dict[str, Any]:
    """What rebuilds `config`: the model, the data set, and the options that were given.

    `identity` is a sum over the configuration and the data. Two runs with one identity compute the
    same.
    """
    plain = (type(None), bool, int, float, str, list, dict)
    options = {
        key: value if isinstance(value, plain) else str(value)
        for key, value in config.external_config_dict.items()
        if key != "resume"
    }
    files = sorted(Path(config["data_path"]).glob(f"{config['dataset']}.*"))
    text = configuration(config) + sha256_of(*(file for file in files if file.is_file()))
    return {
        "model": config["model"],
        "dataset": config["dataset"],
        "options": options,
        "identity": hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest(),
    }


def load_weights(model: Any, path: str | Path, device: Any) -> dict[str, Any]:
    """Load the weights in the checkpoint at `path` into `model`; return the whole checkpoint.

    Raises InputError where the checkpoint is of another model, or of a model of another size.
    """
    state = checkpoints.load(path, device)
    set_weights(model, state, path)
    return state


def set_weights(model: Any, state: dict[str, Any], path: str | Path) -> None:
    """`load_weights` with the checkpoint `state`, which was read from `path`."""
    name = type(model).__name__
    if state["config"]["model"] != name:
        raise InputError(f"a checkpoint of {state['config']['model']}, not of {name}", file=path)
    try:
        model.load_state_dict(state["state_dict"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"does not fit this {name}: {reason}", file=path) from error
    device = next((parameter.device for parameter in model.parameters()), None)
    others = {
        key: value.to(device) if hasattr(value, "to") else value
        for key, value in (state.get("other_parameter") or {}).items()
    }
    model.load_other_parameter(other_parameters(model) | others)


def other_parameters(model: Any) -> dict[str, Any]:
    """What RecBole saves beside the model's state, without the modules, which are in the state."""
    from torch.nn import Module

    values = model.other_parameter() or {}
    return {name: value for name, value in values.items() if not isinstance(value, Module)}
