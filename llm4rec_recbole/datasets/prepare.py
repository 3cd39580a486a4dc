"""Check a data set and lay out what the pipeline needs of it: the DVC stage `prepare`.

    python -m llm4rec_recbole.datasets.prepare --dataset ml-100k --out work/data/ml-100k

makes the atomic files first where the raw ones are at hand (data/convert.py), then writes
`items.parquet` and `users.parquet` (data/content.py; where the data set has the files for them) and
`summary.json`, the counts of docs/data.md. The interactions stay where they are: RecBole reads
them there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.data.atomic import check_atomic_files
from llm4rec_recbole.data.dataset_paths import EMBEDDED, atomic_folder
from llm4rec_recbole.data.interactions import Interactions, read_interactions, statistics
from llm4rec_recbole.data.splits import leave_one_out, temporal_split
from llm4rec_recbole.datasets.convert import convert
from llm4rec_recbole.datasets.replace_files import scratch_folder, swap
from llm4rec_recbole.datasets.spec import Source, any_raw_file, read_source
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of, write_atomically, write_json

TABLES = ("items", "users")  # that `prepare` writes, where the data set has them


def prepare(
    dataset: str,
    out: str | Path,
    data_path: str | Path = "dataset",
    raw: str | Path | None = None,
) -> dict[str, Any]:
    """Check the data set, write its content tables and its summary into `out`; return the summary.

    `raw` is the folder of its raw files (default: <data_path>/<dataset>/raw, if any is there); they
    are made into atomic files in <data_path>/<dataset> first. Raises InputError when the data set
    is not there or a file of it is broken; nothing is written then. Tables and summary are all of
    one version.
    """
    from llm4rec_recbole.data.features import read_items, read_users

    source = read_source(dataset)
    _convert(dataset, source, data_path, raw)
    folder, out = atomic_folder(dataset, data_path), Path(out)
    check_atomic_files(folder, dataset)
    files = [
        path
        for suffix in ("inter", "item", "user")
        if (path := folder / f"{dataset}.{suffix}").is_file()
    ]
    tables = {
        name: read(path)
        for name, suffix, read in zip(TABLES, ("item", "user"), (read_items, read_users))
        if (path := folder / f"{dataset}.{suffix}") in files
    }
    summary = {
        "dataset": dataset,
        **summarise(read_interactions(files[0]), timed=source is None or source.times == "seconds"),
        "sha256": {path.name: sha256_of(path) for path in files},
    }
    with scratch_folder(out) as scratch:
        new = scratch / "new"
        for name, table in tables.items():
            write_atomically(new / f"{name}.parquet", table.to_parquet(index=False))
        write_json(new / "summary.json", summary)
        gone = {f"{name}.parquet" for name in TABLES if name not in tables}
        swap(new, out, "summary.json", gone)
    return summary


def _convert(
    dataset: str, source: Source | None, data_path: str | Path, raw: str | Path | None
) -> None:
    """Make the atomic files from the raw ones, and say what became of each row."""
    folder = Path(data_path) / dataset
    if raw is None and source is not None and any_raw_file(source, folder / "raw"):
        raw = folder / "raw"
    at_hand = raw is not None or any(folder.glob("*.inter"))
    if source is not None and dataset != EMBEDDED and not at_hand:
        own_copy = f"llm4rec fetch {dataset} --from FOLDER"
        hint = f"your own copy: {own_copy}" if source.accept else f"llm4rec fetch {dataset}"
        raise InputError(f"the data set {dataset} is not here", hint=hint)
    if raw is None:
        return
    if source is None or dataset == EMBEDDED:
        hint = f"properties/dataset/{dataset}.yaml would have to say so under `source`"
        raise InputError(f"nothing tells the format of {dataset}'s raw files", hint=hint)
    for tally in convert(source, raw, folder):
        print(tally)


def summarise(log: Interactions, timed: bool = True) -> dict[str, Any]:
    """Counts of users, items and interactions, and of what each protocol holds out and leaves out.

    Without `timed` the times only order each user's interactions, and there is no `temporal`.
    """
    return {
        **statistics(log),
        "first_time": log.times.min().item(),
        "last_time": log.times.max().item(),
        "users_tied_at_their_last_time": tied_at_the_end(log.users, log.times),
        "loo": _protocol(log, leave_one_out),
        "temporal": _protocol(log, temporal_split) if timed else {"refused": "there are no times"},
    }


def tied_at_the_end(users: np.ndarray, times: np.ndarray) -> int:
    """How many users have several interactions at their last time: for them, `loo`'s test item is
    the tie rule's choice. `users` and `times` are (N,)."""
    last = np.full(users.max() + 1, times.min())
    np.maximum.at(last, users, times)
    return int((np.bincount(users[times == last[users]]) > 1).sum())


def _protocol(log: Interactions, split_by: Any) -> dict[str, Any]:
    try:
        split = split_by(log.users, log.items, log.times, len(log.item_tokens))
    except InputError as error:
        return {"refused": str(error)}
    cuts = {name: getattr(split, name) for name in ("valid_cut", "test_cut")}
    trained = np.zeros(len(log.item_tokens), dtype=bool)
    trained[log.items[split.train]] = True
    return {
        "train_interactions": len(split.train),
        "valid_users": len(split.valid),
        "test_users": len(split.test),
        "test_items_never_trained_on": int((~trained[split.test.targets]).sum()),
        **split.counts,
        **{name: cut for name, cut in cuts.items() if cut is not None},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status: 2 for bad input or a full disk, in one line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="ml-100k", help="its name (default: %(default)s)")
    parser.add_argument("--out", help="folder to write to (default: work/data/<dataset>)")
    parser.add_argument(
        "--data-path", default="dataset", help="where <dataset>/<dataset>.inter lies, but ml-100k's"
    )
    parser.add_argument("--raw", help="folder of its raw files, to make the atomic files from")
    options = parser.parse_args(arguments)
    out = Path(options.out or f"work/data/{options.dataset}")
    try:
        summary = prepare(options.dataset, out, options.data_path, options.raw)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename or out}: {error.strerror}", file=sys.stderr)
        return 2
    counted = ", ".join(f"{summary[name]} {name}" for name in ("users", "items", "interactions"))
    print(f"{options.dataset}: {counted}; wrote {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
