"""What transformers says of a folder that is no model, in one line."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

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
