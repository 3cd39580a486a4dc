"""Encode the text of each item of a data set: the DVC stage `encode`.

    python -m llm4rec_recbole.language_models.encode_items --dataset ml-100k \
        --items work/data/ml-100k/items.parquet --out work/encoded/ml-100k

writes `text.safetensors` and `text.json` (encoders/store.py).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.language_models.text_encoder import item_texts
from llm4rec_recbole.language_models.vector_store import (
    Encoded,
    read_encoded,
    texts_sha256,
    write_encoded,
)

DEFAULT = "all-MiniLM-L6-v2"  # encoders/text.py's, which is not imported to print a help text


def encode(items: str | Path, out: str | Path, model: str = DEFAULT) -> Encoded:
    """Encode the items of the table at `items` (data/content.py) into the folder `out`.

    The table is a `.parquet` that `prepare` wrote or the data set's own `.item` file. What `out`
    already holds is kept when it is of the same texts and model. Raises InputError when the table
    or the model is missing or broken; nothing is written then.
    """
    import pandas as pd

    from llm4rec_recbole.data.features import read_items

    try:
        table = pd.read_parquet(items) if Path(items).suffix == ".parquet" else read_items(items)
        tokens = table["item_id"].tolist()
    except FileNotFoundError as error:
        hint = "run the `prepare` stage"
        raise InputError("no items table here", file=items, hint=hint) from error
    except (KeyError, ValueError) as error:
        raise InputError(f"not an items table: {error}", file=items) from error
    if not table.get("title", pd.Series(dtype=str)).any():
        print(f"{items}: no titles: texts are categories and years alone", file=sys.stderr)
    return encode_texts(tokens, item_texts(table), out, model)


def encode_texts(names: list[str], texts: list[str], out: str | Path, model: str) -> Encoded:
    """Encode `texts`, one of each of `names`, into the folder `out`, or read them from there.

    Raises InputError when the model is missing or broken; nothing is written then.
    """
    sha256 = texts_sha256(texts)
    if Path(out, "text.json").is_file():
        there = read_encoded(out)
        if (there.model, there.texts_sha256, there.items) == (model, sha256, names):
            return there
    from llm4rec_recbole.language_models.text_encoder import load_encoder

    encoder = load_encoder(model)
    encoded = Encoded(encoder.name, encoder.dtype, sha256, names, encoder.encode(texts))
    write_encoded(out, encoded)
    return encoded


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 2 for bad input or a full disk, in one line."""
    parser = argparse.ArgumentParser(prog="python -m llm4rec_recbole.language_models.encode_items")
    parser.add_argument("--dataset", default="ml-100k", help="its name (default: %(default)s)")
    parser.add_argument("--items", help="its table (default: work/data/<dataset>/items.parquet)")
    parser.add_argument("--out", help="folder to write to (default: work/encoded/<dataset>)")
    parser.add_argument(
        "--model", default=DEFAULT, help="package, folder, hub name or hash-64 (%(default)s)"
    )
    options = parser.parse_args(arguments)
    items = options.items or f"work/data/{options.dataset}/items.parquet"
    out = options.out or f"work/encoded/{options.dataset}"
    start = time.perf_counter()
    try:
        encoded = encode(items, out, options.model)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or out}: {error.strerror}", file=sys.stderr)
        return 2
    with_text, seconds = int(encoded.vectors.any(1).sum()), time.perf_counter() - start
    print(
        f"{options.dataset}: {with_text} of {len(encoded.items)} items have text; "
        f"{encoded.vectors.shape[1]} numbers each by {encoded.model} ({encoded.dtype}), "
        f"{seconds:.1f} s; wrote {out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
