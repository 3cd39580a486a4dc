"""Encoded texts on disk: `text.safetensors` with the vectors, `text.json` that says what they are.

The JSON is written last and holds the vectors' checksum: a folder whose two files do not belong
together, as after a crash between them, is refused.
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
class Encoded:
    """The vectors of a data set's items, in the order of its items table."""

    model: str
    dtype: str  # what the model computed in; the vectors are float32 all the same
    texts_sha256: str
    items: list[str]  # raw tokens, (n,)
    vectors: np.ndarray  # (n, d) float32, length 1, or zeros for an item without text

    def of_items(self, tokens: Sequence[str]) -> np.ndarray:
        """The vectors (len(tokens), d) of the items called `tokens`; zeros for one not encoded,
        as for the pad."""
        row = {token: number for number, token in enumerate(self.items)}
        rows = np.array([row.get(token, -1) for token in tokens], dtype=np.int64)
        return np.where(rows[:, None] >= 0, self.vectors[rows], np.float32(0))


def texts_sha256(texts: Sequence[str]) -> str:
    """SHA-256 (hex) of the texts, in order; no text can pass for two."""
    return sha256(json.dumps(list(texts)).encode()).hexdigest()


def write_encoded(folder: str | Path, encoded: Encoded) -> None:
    """Write both files, each atomically. Raises OSError, as on a full disk."""
    from safetensors.numpy import save

    folder = Path(folder)
    vectors = folder / "text.safetensors"
    write_atomically(vectors, save({"vectors": np.ascontiguousarray(encoded.vectors)}))
    about = {
        "model": encoded.model,
        "dtype": encoded.dtype,
        "texts_sha256": encoded.texts_sha256,
        "vectors_sha256": sha256_of(vectors),
        "with_text": int(encoded.vectors.any(1).sum()),
        "items": encoded.items,
    }
    write_json(folder / "text.json", about)


def read_encoded(folder: str | Path) -> Encoded:
    """Read what `write_encoded` wrote. Raises InputError when a file is missing, broken or of
    another writing than the other."""
    from safetensors.numpy import load

    vectors, about = Path(folder) / "text.safetensors", Path(folder) / "text.json"
    for path in (vectors, about):
        if not path.is_file():
            raise InputError("no encoded texts here", file=path, hint="run the `encode` stage")
    try:
        said = json.loads(about.read_text(encoding="utf-8"))
        if said["vectors_sha256"] != sha256_of(vectors):
            hint = "run the `encode` stage again"
            raise InputError(
                "the vectors are not those that text.json tells of", file=vectors, hint=hint
            )
        content = load(vectors.read_bytes())["vectors"]
        return Encoded(said["model"], said["dtype"], said["texts_sha256"], said["items"], content)
    except (json.JSONDecodeError, KeyError) as error:
        raise InputError(f"not a file of encoded texts: {error}", file=about) from error
