"""Checks a data set and writes what the pipeline reads of it: the DVC stage `prepare`.

`llm4rec prepare` is the command (cli/datasets.py). It makes the atomic files first if raw files are
there (convert.py). Then it writes `items.parquet` and `users.parquet` (data/features.py), if the
data set has items and users, and `summary.json`, the counts of docs/data.md. The interactions stay
where they are: RecBole reads them there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.data.dataset_files import BUNDLED_DATASET, DatasetFiles, dataset_folder
from llm4rec_recbole.data.interactions import (
    Interactions,
    read_interactions,
    statistics,
    time_order,
)
from llm4rec_recbole.data.splits import Log, leave_one_out, temporal_split
from llm4rec_recbole.datasets.convert import convert
from llm4rec_recbole.datasets.replace_files import locked, replace_dataset_files, staging_dir
from llm4rec_recbole.datasets.spec import DatasetSpec, has_raw_files, read_spec
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import sha256_of, write_atomically, write_json

TABLES = ("items", "users")  # the tables that `prepare` writes, if the data set has them


def prepare(
    dataset: str,
    out: str | Path,
    data_path: str | Path = "dataset",
    raw: str | Path | None = None,
) -> dict[str, Any]:
    """Check the data set, write its tables and its summary to `out`. Return the summary.

    raw: folder of the raw files (default: <data_path>/<dataset>/raw, if it has any). They are
    converted to atomic files in <data_path>/<dataset> first. Raises InputError, and writes nothing,
    if the data set is missing or a file of it is broken. Tables and summary are all of one version:
    another run on the same data set waits until this one has ended.
    """
    from llm4rec_recbole.data.features import read_items, read_users

    spec = read_spec(dataset)
    folder = Path(data_path) / dataset
    raw = _raw_folder(dataset, spec, folder, raw)
    if raw is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with locked(*(path for path in (raw, folder) if path is not None and path.is_dir())):
        if spec is not None and raw is not None:
            for row_report in convert(spec, raw, folder):
                print(row_report)
        folder, out = dataset_folder(dataset, data_path), Path(out)
        DatasetFiles(folder, dataset).check()
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
        has_times = spec is None or spec.timestamps == "seconds"
        summary = {
            "dataset": dataset,
            **summarise(read_interactions(files[0]), has_times),
            "sha256": {path.name: sha256_of(path) for path in files},
        }
        with staging_dir(out) as staging:
            new = staging / "new"
            for name, table in tables.items():
                write_atomically(new / f"{name}.parquet", table.to_parquet(index=False))
            write_json(new / "summary.json", summary)
            stale_files = {f"{name}.parquet" for name in TABLES if name not in tables}
            replace_dataset_files(new, out, "summary.json", stale_files)
    return summary


def _raw_folder(
    dataset: str, spec: DatasetSpec | None, folder: Path, raw: str | Path | None
) -> Path | None:
    """The folder of the raw files, or None if there are only atomic files.

    Raises InputError if there are neither, and for raw files without a specification.
    """
    if raw is None and spec is not None and has_raw_files(spec, folder / "raw"):
        raw = folder / "raw"
    if raw is not None:
        if spec is None or dataset == BUNDLED_DATASET:
            hint = f"`source` of properties/dataset/{dataset}.yaml must name it"
            raise InputError(f"the format of {dataset}'s raw files is not known", hint=hint)
        return Path(raw)
    if spec is not None and dataset != BUNDLED_DATASET and not any(folder.glob("*.inter")):
        own_copy = f"your own copy: llm4rec fetch {dataset} --from FOLDER"
        hint = own_copy if spec.license_agreement else f"llm4rec fetch {dataset}"
        raise InputError(f"the data set {dataset} is not here", hint=hint)
    return None


def summarise(log: Interactions, has_times: bool = True) -> dict[str, Any]:
    """Counts of users, items and interactions, and of what each protocol holds out.

    has_times: False if the times only order the interactions of one user. Then `temporal` is
    refused.
    """
    ordered = Log(log.users, log.items, log.times, len(log.item_tokens))
    no_times = {"refused": "timestamps are sequence indices"}
    return {
        **statistics(log),
        "first_time": log.times.min().item(),
        "last_time": log.times.max().item(),
        "users_tied_at_their_last_time": tied_at_the_end(log.users, log.times),
        "loo": _protocol(log, leave_one_out, ordered, has_times),
        "temporal": _protocol(log, temporal_split, ordered, has_times) if has_times else no_times,
    }


def tied_at_the_end(users: np.ndarray, times: np.ndarray) -> int:
    """How many users have several interactions at their last time.

    For them the tie rule chooses the test item of `loo`. users, times: (N,).
    """
    last = np.full(users.max() + 1, times.min())
    np.maximum.at(last, users, times)
    return int((np.bincount(users[times == last[users]]) > 1).sum())


def _protocol(log: Interactions, split_by: Any, ordered: Log, has_times: bool) -> dict[str, Any]:
    try:
        split = split_by(log.users, log.items, log.times, log=ordered)
    except InputError as error:
        return {"refused": str(error)}
    cuts = {name: getattr(split, name) for name in ("valid_cut", "test_cut")}
    in_training = np.zeros(len(log.item_tokens), dtype=bool)
    in_training[log.items[split.train]] = True
    return {
        "train_interactions": len(split.train),
        "valid_users": len(split.valid_at),
        "test_users": len(split.test_at),
        "test_items_never_trained_on": int((~in_training[log.items[split.test_rows]]).sum()),
        **split.counts,
        **{name: cut for name, cut in cuts.items() if cut is not None},
        **({"time_order": time_order(log.times, split)} if has_times else {}),
    }
