"""The weights after adaptation, in a file beside the checkpoint of the trained weights.

    EnhancedGenRec-ml-100k-seed_0-….safetensors    what training left
    EnhancedGenRec-ml-100k-seed_0-….adapted        the tensors that adaptation changed

With the second file a command does not learn from the validation items again. The file counts only
beside the checkpoint of a finished run: a training that is resumed makes it outdated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from llm4rec_recbole import checkpoints
from llm4rec_recbole.errors import InputError


def adapted_file(checkpoint: str | Path) -> Path:
    """Return the path of the adapted weights that belong to `checkpoint`.

    The suffix differs, so that a search for checkpoints does not match it.
    """
    return Path(checkpoint).with_suffix(".adapted")


def save_adapted_weights(model: Any, checkpoint: str | Path) -> None:
    """Save the tensors of `model` that differ from those in `checkpoint`; write nothing for a model
    that does not adapt."""
    if not hasattr(model, "prequential_rows"):
        return
    trained = checkpoints.load(checkpoint)["state_dict"]
    changed = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not torch.equal(tensor.cpu(), trained[name])
    }
    if changed:
        checkpoints.save(adapted_file(checkpoint), {"adapted": changed})


def load_adapted_weights(model: Any, checkpoint: str | Path) -> bool:
    """Load the adapted weights into `model`, which has the weights of `checkpoint`.

    Return False, with the model unchanged, where there are none. The result is equal to the last
    bit to that of learning from the validation items again. Raises InputError for a file that is
    damaged or of another model.
    """
    path = adapted_file(checkpoint)
    if not path.is_file() or not checkpoints.read_header(checkpoint).finished:
        return False
    changed = checkpoints.load(path).get("adapted")
    weights = model.state_dict()
    if not isinstance(changed, dict) or any(
        name not in weights or weights[name].shape != tensor.shape
        for name, tensor in changed.items()
    ):
        raise InputError("not the adapted weights of this model", file=path, hint="delete the file")
    model.eval()
    model.fix_content()  # from the trained weights, as before the first event
    with torch.no_grad():
        for name, tensor in changed.items():
            weights[name].copy_(tensor)
    return True
