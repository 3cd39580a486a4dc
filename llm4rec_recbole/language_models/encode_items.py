"""Encode the text of each item of a data set: the DVC stage `encode`.

    python -m llm4rec_recbole.language_models.encode_items --out work/encoded/ml-100k

writes `text.safetensors`, the vectors, and `text.json`, their description. It is written last and
holds the checksum of the vectors. If the two files do not belong together, reading them is refused.

Git holds neither of them: a run that finds no vectors encodes the texts itself. `--summary` writes
what identifies the vectors: model, dtype, and checksums of texts and vectors.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.console import run_command
from llm4rec_recbole.data.dataset_files import data_file
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of, write_atomically, write_json
from llm4rec_recbole.language_models.sources import DEFAULT_ENCODER
from llm4rec_recbole.parser import Parser

if TYPE_CHECKING:
    import pandas as pd


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
    """Read the files of `write_encoded`. Raises InputError when a file is missing or broken, or the
    two do not belong together."""
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
    except (ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise InputError(f"not a file of encoded texts: {error}", file=description) from error


def item_texts(items: pd.DataFrame) -> list[str]:
    """One text for each row: title and year, categories, description; "" for a row without content.

        Toy Story (1995). Animation, Children's, Comedy.

    The columns `title`, `year`, `categories` and `description` (data/features.py) may be missing,
    and any cell may be empty. Categories that are numbers, as S3-Rec published them, are left out.
    """
    import pandas as pd

    empty = pd.Series([None] * len(items), index=items.index, dtype=object)
    columns = (items.get(name, empty) for name in ("title", "year", "categories", "description"))
    return [_text(*cells) for cells in zip(*columns)]


def _text(title: object, year: Any, categories: Any, description: object) -> str:
    import pandas as pd

    name = _one_line(title)
    if not pd.isna(year):
        name = f"{name} ({int(year)})" if name else str(int(year))
    names = [] if categories is None else categories
    kinds = ", ".join(category for category in names if not category.isdigit())
    sentences = (name, kinds, _one_line(description).rstrip("."))
    return " ".join(f"{sentence}." for sentence in sentences if sentence)


def _one_line(cell: object) -> str:
    """The cell's text on one line; "" for None and NaN."""
    return " ".join(cell.split()) if isinstance(cell, str) else ""


def encode(
    items: str | Path, out: str | Path, model: str = DEFAULT_ENCODER, must_write: bool = False
) -> EncodedTexts:
    """Encode the items of the `.item` file `items`; see `encode_texts`. Raises InputError when the
    file or the model is missing or broken."""
    from llm4rec_recbole.data.features import read_items

    if not Path(items).exists():
        raise InputError("there is no such file", file=items)
    return encode_table(read_items(items), items, out, model, must_write)


def encode_table(
    table: pd.DataFrame,
    source: str | Path,
    out: str | Path,
    model: str = DEFAULT_ENCODER,
    must_write: bool = False,
) -> EncodedTexts:
    """Encode the items of `table`, which was read from the file `source`; see `encode`."""
    if not ("title" in table and table["title"].any()):
        print(f"{source}: no titles: texts are categories and years only", file=sys.stderr)
    return encode_texts(table["item_id"].tolist(), item_texts(table), out, model, must_write)


def encode_texts(
    names: list[str], texts: list[str], out: str | Path, model: str, must_write: bool = False
) -> EncodedTexts:
    """Encode `texts`, one for each of `names`. The folder `out` caches the vectors.

    When `out` cannot be written, one line on stderr says so and the vectors are used without a
    copy; with `must_write` the OSError is raised. Raises InputError when the model is missing or
    broken.
    """
    sha256 = texts_sha256(texts)
    if Path(out, "text.json").is_file():
        cached = read_encoded(out)
        if (cached.model, cached.texts_sha256, cached.items) == (model, sha256, names):
            return cached
    from llm4rec_recbole.language_models.text_encoder import load_encoder

    encoder = load_encoder(model)
    encoded = EncodedTexts(encoder.name, encoder.dtype, sha256, names, encoder.encode(texts))
    try:
        write_encoded(out, encoded)
    except OSError as error:
        if must_write:
            raise
        print(f"{out}: text vectors are not cached: {error.strerror}", file=sys.stderr)
    return encoded


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Raises InputError for bad input, OSError for a full disk."""
    parser = Parser(prog="python -m llm4rec_recbole.language_models.encode_items")
    parser.add_argument("--dataset", default="ml-100k", help="its name (default: %(default)s)")
    parser.add_argument("--items", help=".item file (default: the data set's own)")
    parser.add_argument("--out", help="folder to write to (default: work/encoded/<dataset>)")
    parser.add_argument("--summary", help="also write model, counts and sums to this file")
    parser.add_argument(
        "--model",
        default=DEFAULT_ENCODER,
        help="package, folder, hub name or hash-64 (%(default)s)",
    )
    options = parser.parse_args(arguments)
    items = options.items or data_file(options.dataset, "item")
    out = options.out or f"work/encoded/{options.dataset}"
    start = time.perf_counter()
    encoded = encode(items, out, options.model, must_write=True)
    if options.summary:
        description = json.loads(Path(out, "text.json").read_text(encoding="utf-8"))
        summary = description | {
            "items": len(encoded.items),
            "items_with_text": description["with_text"],
        }
        names = ("model", "dtype", "items", "items_with_text", "texts_sha256", "vectors_sha256")
        write_json(options.summary, {name: summary[name] for name in names})
    with_text, seconds = int(encoded.vectors.any(1).sum()), time.perf_counter() - start
    print(
        f"{options.dataset}: {with_text} of {len(encoded.items)} items have text; "
        f"{encoded.vectors.shape[1]} numbers each by {encoded.model} ({encoded.dtype}), "
        f"{seconds:.1f} s; wrote {out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_command("encode_items", main))
