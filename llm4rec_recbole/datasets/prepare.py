"""Checks a data set and writes what the pipeline reads of it: the DVC stage `prepare`.

`llm4rec prepare` is the command (cli/datasets.py). It makes the atomic files first if raw files are
there (convert.py). Then it writes `items.parquet` and `users.parquet` (data/features.py), if the
data set has items and users, and `summary.json`, the counts of docs/data.md. The interactions stay
where they are: RecBole reads them there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data import stored_log, table_cache
from llm4rec_recbole.data.atomic import read_atomic
from llm4rec_recbole.data.atomic_format import DEFAULT_FORMAT, AtomicTable, count_in_order
from llm4rec_recbole.data.dataset_files import BUNDLED_DATASET, DatasetFiles, dataset_folder
from llm4rec_recbole.data.splits import Log, Split, leave_one_out, temporal_split
from llm4rec_recbole.datasets.convert import convert
from llm4rec_recbole.datasets.spec import DatasetSpec, has_raw_files, read_spec
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import (
    locked,
    replace_dataset_files,
    sha256_of,
    staging_dir,
    write_atomically,
    write_json,
)
from llm4rec_recbole.machine import reused_arrow_memory

if TYPE_CHECKING:
    import pandas as pd

TABLES = ("items", "users")  # the tables that `prepare` writes, if the data set has them
HOUR = 3600  # seconds
#: The columns that the interactions must have.
REQUIRED = (DEFAULT_FORMAT.user_field, DEFAULT_FORMAT.item_field, DEFAULT_FORMAT.time_field)


@dataclass(frozen=True)
class Interactions:
    """Parallel arrays, one entry per row of the file.

    Ids are numbered from 1 in the order in which they first appear; 0 is the pad.
    `user_tokens[id]` and `item_tokens[id]` are the ids as the file has them.
    """

    users: np.ndarray  # (N,) int32
    items: np.ndarray  # (N,) int32
    times: np.ndarray  # (N,) int64, or float64 where the file has fractions
    user_tokens: np.ndarray  # (n_users,) str
    item_tokens: np.ndarray  # (n_items,) str


def read_interactions(path: str | Path) -> Interactions:
    """Read a `.inter` file. Raises InputError, with the line, for its first defect."""
    return _numbered(read_atomic(path, DEFAULT_FORMAT, REQUIRED))


def _numbered(table: AtomicTable) -> Interactions:
    user, item = DEFAULT_FORMAT.user_field, DEFAULT_FORMAT.item_field
    tokens = table.frame(lambda field: field in (user, item))
    users, user_tokens = _number(tokens[user])
    items, item_tokens = _number(tokens[item])
    times = table.times(DEFAULT_FORMAT.time_field)
    return Interactions(users, items, times, user_tokens, item_tokens)


def statistics(log: Interactions) -> dict[str, Any]:
    """Counts of users, items and interactions; `density`, the share of user–item pairs that
    occur; and `mean_length`, the interactions per user."""
    n, n_users, n_items = len(log.users), len(log.user_tokens) - 1, len(log.item_tokens) - 1
    return {
        "users": n_users,
        "items": n_items,
        "interactions": n,
        "density": round(n / (n_users * n_items), 6),
        "mean_length": round(n / n_users, 2),
    }


def _number(tokens: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    import pandas as pd

    names = tokens.cat.categories
    codes: np.ndarray = tokens.cat.codes.to_numpy()
    if (count := count_in_order(codes)) is not None:
        names = names[:count]
    else:
        codes, names = pd.factorize(tokens)
    return np.add(codes, 1, dtype=np.int32), np.array(["[PAD]", *names], dtype=object)


def prepare(
    dataset: str, out: str | Path, data_path: str | Path = "dataset", raw: str | Path | None = None
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
    folders = (path for path in (raw, folder) if path is not None and path.is_dir())
    with locked(*folders), reused_arrow_memory():
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
            **_summary_and_copy(files[0], has_times),
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


def _summary_and_copy(inter: Path, has_times: bool) -> dict[str, Any]:
    """The counts of the interactions. The cache gets them in exact order, if they are many."""
    state = table_cache.state_of(inter)  # before the file is read: it may change meanwhile
    table = read_atomic(inter, DEFAULT_FORMAT, REQUIRED)
    log = _numbered(table)
    in_order = Log(log.users, log.items, log.times, len(log.item_tokens))
    stored_log.write(table, DEFAULT_FORMAT, state, (log.users, log.items), in_order)
    if copies := list((inter.parent / "cache").glob(f"{inter.name}.*")):
        size = sum(path.stat().st_size for path in copies) / 1e6
        print(f"{copies[0].parent}: {size:,.0f} MB for a faster start; deleting it loses nothing")
    return summarise(log, in_order, has_times)


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


def summarise(log: Interactions, ordered: Log, has_times: bool = True) -> dict[str, Any]:
    """Counts of users, items and interactions, and of what each protocol holds out.

    ordered: the interactions in exact order.
    has_times: False if the times only order the interactions of one user. Then `temporal` is
    refused.
    """
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
        split = split_by(ordered)
    except InputError as error:
        return {"refused": str(error)}
    cuts = {name: getattr(split, name) for name in ("valid_cut", "test_cut")}
    in_training = np.zeros(len(log.item_tokens), dtype=bool)
    in_training[split.train_counts > 0] = True
    return {
        "train_interactions": int(split.in_training.sum()),
        "valid_users": len(split.valid_at),
        "test_users": len(split.test_at),
        "test_items_never_trained_on": int((~in_training[log.items[split.test_rows]]).sum()),
        **split.counts,
        **{name: cut for name, cut in cuts.items() if cut is not None},
        **({"time_order": time_order(split)} if has_times else {}),
    }


def time_order(split: Split) -> dict[str, float]:
    """What a protocol's split does to the order of time, as four shares of `split`.

    `loo` tests each user at a time of its own. A model then trains on interactions that other
    users had later than that. `temporal` has one cut for all users, and trains on nothing later.

    train_later_than_test    mean over test users of the share of the training interactions
                             that are later than the user's test item
    valid_not_before_test    the same share of the validation items, those of equal time too
    test_at_last_time        share of the test items at the same time as the item before
    test_within_an_hour      share of the test items at most an hour after the item before
    """
    times = split.log.times  # (N,)
    tested = times[split.test_at]  # (U,)
    train, valid = times[split.in_training], times[split.valid_at]
    train.sort()
    valid.sort()
    not_later = np.searchsorted(train, tested, side="right")  # (U,) training interactions
    before = np.searchsorted(valid, tested, side="left")  # (U,) validation items
    gaps = tested - times[split.test_at - 1]  # (U,) since the item before
    shares = {
        "train_later_than_test": 1 - not_later.mean() / len(train),
        "valid_not_before_test": 1 - before.mean() / len(valid),
        "test_at_last_time": (gaps == 0).mean(),
        "test_within_an_hour": (gaps <= HOUR).mean(),
    }
    return {name: round(float(share), 4) for name, share in shares.items()}
