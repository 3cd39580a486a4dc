"""Encoded texts on disk: `text.safetensors` holds the vectors, `text.json` describes them.

The JSON is written last and holds the checksum of the vectors. If the two files do not belong
together, as after a crash between them, reading them is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of, write_atomically, write_json


@dataclass(frozen=True, eq=False)
class EncodedTexts:
    """The text vectors of a data set's items, in the order of its items table."""

    model: str
    dtype: str  # in which the model computed; the vectors are always float32
    texts_sha256: str
    items: list[str]  # raw tokens, (n,)
    vectors: np.ndarray  # (n, d) float32, length 1, or zeros for an item without text

    def of_items(self, tokens: Sequence[str]) -> np.ndarray:
        """The vectors (len(tokens), d) of the items `tokens`; zeros for the pad and for any other
        token that was not encoded."""
        row = {token: number for number, token in enumerate(self.items)}
        rows = np.array([row.get(token, -1) for token in tokens], dtype=np.int64)
        if not len(self.vectors):
            return np.zeros((len(rows), self.vectors.shape[1]), dtype=np.float32)
        return np.where(rows[:, None] >= 0, self.vectors[rows], np.float32(0))


def texts_sha256(texts: Sequence[str]) -> str:
    """SHA-256 (hex) of the list of texts."""
    return sha256(json.dumps(list(texts)).encode()).hexdigest()


def write_encoded(folder: str | Path, encoded: EncodedTexts) -> None:
    """Write both files, each atomically. Raises OSError, as on a full disk."""
    from safetensors.numpy import save

    folder = Path(folder)
    vectors = folder / "text.safetensors"
    write_atomically(vectors, save({"vectors": np.ascontiguousarray(encoded.vectors)}))
    description = {
        "model": encoded.model,
        "dtype": encoded.dtype,
        "texts_sha256": encoded.texts_sha256,
        "vectors_sha256": sha256_of(vectors),
        "with_text": int(encoded.vectors.any(1).sum()),
        "items": encoded.items,
    }
    write_json(folder / "text.json", description)


def read_encoded(folder: str | Path) -> EncodedTexts:
    """Read the files of `write_encoded`.

    Raises InputError when a file is missing or broken, or the two do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    vectors, description = Path(folder) / "text.safetensors", Path(folder) / "text.json"
    for path in (vectors, description):
        if not path.is_file():
            raise InputError("no encoded texts here", file=path, hint="run the `encode` stage")
    try:
        content = json.loads(description.read_text(encoding="utf-8"))
        if content["vectors_sha256"] != sha256_of(vectors):
            hint = "run the `encode` stage again"
            raise InputError("text.json describes other vectors", file=vectors, hint=hint)
        return EncodedTexts(
            content["model"],
            content["dtype"],
            content["texts_sha256"],
            content["items"],
            load(vectors.read_bytes())["vectors"],
        )
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(f"not a file of encoded texts: {error}", file=description) from error
