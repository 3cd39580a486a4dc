"""Count the training interactions of test users and of their held-out items.

    python -m benchmarks.studies.few_interactions --data_path=dataset

Reads the atomic files of every data set with users files of protocol loo, and writes
training_counts.parquet, from which `llm4rec dataset_table` makes a table without the data. A data
set that --data_path lacks keeps its old counts.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path

import pandas as pd

from benchmarks.data import folder
from benchmarks.options import RESULTS
from llm4rec_recbole.data.splits import Log, leave_one_out
from llm4rec_recbole.datasets.prepare import read_interactions
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.users_file import read_users
from llm4rec_recbole.files import write_atomically
from llm4rec_recbole.reporting.tables.accuracy import COUNTS_FILE, read_counts
from llm4rec_recbole.reporting.tables.datasets import result_folders


def training_counts(inter: Path, users_file: Path) -> pd.DataFrame:
    """The counts of the users in `users_file`. Raises InputError where the split is another one."""
    log = read_interactions(inter)
    split = leave_one_out(Log(log.users, log.items, log.times))
    test = split.test
    frame = pd.DataFrame(
        {
            "user": log.user_tokens[test.users],
            "target": log.item_tokens[test.targets],
            "user_interactions": pd.Series(log.users[split.train]).value_counts()
            .reindex(test.users, fill_value=0).to_numpy("int32"),
            "target_interactions": pd.Series(log.items[split.train]).value_counts()
            .reindex(test.targets, fill_value=0).to_numpy("int32"),
        }
    ).sort_values("user", kind="stable")  # fmt: skip
    tested = read_users(users_file, ("user", "target")).sort_values("user", kind="stable")
    if not (frame[["user", "target"]].to_numpy(str) == tested.to_numpy(str)).all():
        raise InputError("not the split of this users file", file=users_file)
    return frame.drop(columns="target")


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_path", type=Path, default=Path("dataset"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--output", type=Path, default=RESULTS)
    a = parser.parse_args()
    old = read_counts(a.output)
    counts = {} if old is None else dict(iter(old.groupby("dataset")))
    for results in result_folders(a.results, a.output):
        for users in sorted(results.glob("users/*/loo")):
            name = users.parent.name
            inter = (folder() if name == "ml-100k" else a.data_path / name) / f"{name}.inter"
            if results != a.results and results.name != name:
                continue
            if not inter.is_file():
                print(f"{name}: no {inter}")
                continue
            own = training_counts(inter, next(users.glob("*/seed_*.parquet")))
            own.insert(0, "dataset", name)
            counts[name] = own
            few = (own[["user_interactions", "target_interactions"]] <= 5).sum().to_dict()
            print(f"{name}: {len(own)} users, at most 5: {few}")
    buffer = io.BytesIO()
    table = pd.concat([counts[name] for name in sorted(counts)], ignore_index=True)
    table.to_parquet(buffer, compression="zstd", index=False)
    write_atomically(a.output / COUNTS_FILE, buffer.getvalue())
    print(f"written: {a.output / COUNTS_FILE}, {len(buffer.getvalue()) / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
