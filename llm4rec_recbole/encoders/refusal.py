"""Pretrained models, whole or not at all: what transformers says of a folder that is no model."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from llm4rec_recbole.errors import InputError

_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError)
_MOST = 200  # characters: some reasons list every model that transformers knows


@contextmanager
def refusing(kind: str, name: str, hint: str) -> Iterator[None]:
    """Raises InputError, saying that there is no `kind` called `name`, for whatever transformers
    raises in the block: a weights file cut off, a folder without a tokenizer, another model's
    shapes each have an error of their own."""
    try:
        yield
    except _BROKEN as error:
        reason = textwrap.shorten(str(error).strip().partition("\n")[0], _MOST, placeholder=" …")
        raise InputError(f"no {kind} {name!r}: {reason}", hint=hint) from error


def load_whole(model_class: Any, place: str | Path, **how: Any) -> Any:
    """`model_class.from_pretrained`, of safetensors. Raises ValueError where the folder lacks
    weights, which transformers would draw at random; a pooling layer's, which nothing here uses,
    may be absent."""
    model, told = model_class.from_pretrained(
        place, use_safetensors=True, output_loading_info=True, **how
    )
    if lacks := sorted(key for key in told["missing_keys"] if "pooler" not in key):
        raise ValueError(f"its weights lack {lacks[0]}, and {len(lacks) - 1} more")
    return model
