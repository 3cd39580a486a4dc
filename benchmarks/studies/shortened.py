"""Decisions without the test items: what the defaults of EnhancedGenRec are chosen by.

    python -m benchmarks.studies.shortened --data-path dataset

Each user's last interaction is removed from the data. So the former validation item tests, and the
one before it validates; the true test items are not in the data. Writes shortened.json and .md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.options import RESULTS
from benchmarks.report import table
from llm4rec_recbole.evaluation.metrics import ndcg
from llm4rec_recbole.files import recbole_folder, write_atomically, write_json
from llm4rec_recbole.registry import variant
from llm4rec_recbole.training.run import run

_SMALLER = {"components": ["fusion", "retrieval", "debiasing", "explanation", "sasrec"]}
_EASE = {"relation_next_weight": 0.0, "relation_reg": 200.0, "relation_decay": 0.95}
#: Label → method and options. The setting that it is compared with is the one of AGAINST.
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "RecencyEASE": ("RecencyEASE", {}),
    "SLIST": ("SLIST", {}),
    "SLIST, best of its trials": (
        "SLIST",
        {"reg_weight": 1410.0, "decay": 0.883, "next_weight": 0.371},
    ),
    "SLIST that learns online": ("SLIST-online", {}),
    "SASRec": ("SASRec", {}),
    "SASRec+RecencyEASE": ("SASRec+RecencyEASE", {}),
    "SASRec+SLIST": ("SASRec+SLIST", {}),
    "SASRec+SLIST that learns online": ("SASRec+SLIST-online", {}),
    "EnhancedGenRec without adaptation": ("EnhancedGenRec", _SMALLER),
    "EnhancedGenRec": ("EnhancedGenRec", {}),
    "EnhancedGenRec, relations as in RecencyEASE": ("EnhancedGenRec", _EASE),
}
AGAINST = {
    "SLIST": "RecencyEASE",
    "SLIST, best of its trials": "SLIST",
    "SLIST that learns online": "SLIST",
    "SASRec+SLIST": "SASRec+RecencyEASE",
    "SASRec+SLIST that learns online": "SASRec+SLIST",
    "EnhancedGenRec": "EnhancedGenRec without adaptation",
    "EnhancedGenRec, relations as in RecencyEASE": "EnhancedGenRec",
}
INTRODUCTION = """\
Each user's last interaction is removed, so the former validation item tests. The true test items
are not in the data. A difference is the mean over users in NDCG@10, ± its standard error. One
seed."""
DATASETS = ("amazon-musical-instruments", "ml-100k")


def main(arguments: list[str] | None = None) -> int:
    """Run every setting on every data set, and write the results after each run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.shortened",
        description="Compare settings on data without each user's last interaction.",
    )
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--data-path", default="dataset", help="(%(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder to write to")
    a = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as top:
        for dataset in a.datasets:
            shorten(_folder(dataset, a.data_path), Path(top, "data", dataset))
            per_user: dict[str, np.ndarray] = {}
            for label in a.settings:
                values, record = ndcg_of_users(label, dataset, Path(top))
                per_user[label] = values
                rows.append({"dataset": dataset, "setting": label, **record})
                if (other := AGAINST.get(label)) in per_user:
                    gain = values - per_user[other]
                    rows[-1] |= {
                        "against": other,
                        "difference": float(gain.mean()),
                        "standard_error": float(gain.std(ddof=1) / np.sqrt(len(gain))),
                    }
                write_json(a.output / "shortened.json", rows)
                write_atomically(a.output / "shortened.md", report(rows))
                print(rows[-1], file=sys.stderr)
    return 0


def _folder(dataset: str, data_path: str) -> Path:
    own = Path(data_path, dataset)
    return own if own.is_dir() else recbole_folder() / "dataset_example" / dataset


def shorten(source: Path, target: Path) -> None:
    """Copy the data set in `source` without each user's last interaction; of equal times, without
    the one that comes last in the file."""
    shutil.copytree(source, target)
    file = target / f"{target.name}.inter"
    table = pd.read_csv(file, sep="\t", dtype=str, keep_default_na=False)
    user, time = (
        next(name for name in table if name.startswith(kind)) for kind in ("user_id", "timestamp")
    )
    order = table[time].astype(float).argsort(kind="stable")
    last = table.iloc[order].drop_duplicates(user, keep="last").index
    table.drop(last).to_csv(file, sep="\t", index=False)


def ndcg_of_users(label: str, dataset: str, top: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Run one setting: NDCG@10 of each test user, by user, and what the report shows."""
    method, own = SETTINGS[label]
    model, options = variant(method)
    folder = top / "runs" / dataset / str(list(SETTINGS).index(label))
    options = options | own | {"data_path": str(top / "data"), "results_dir": str(folder)}
    # In one folder: a sum of references reads the checkpoint of its reference.
    options |= {"checkpoint_dir": str(top / "checkpoints" / dataset), "num_threads": 1}
    path = run(model, dataset, options=options | {"quiet": True, "show_progress": False})
    (file,) = folder.glob("users/**/*.parquet")
    ranks = pd.read_parquet(file, columns=["user", "rank_full"]).sort_values("user")
    values = ndcg(ranks["rank_full"].to_numpy(), 10)
    valid = json.loads(path.read_text())["metrics"]["valid"]["ndcg@10"]
    return values, {"valid_ndcg@10": valid, "test_ndcg@10": float(values.mean())}


def report(rows: list[dict[str, Any]]) -> str:
    """A table for each data set."""
    blocks = ["# Settings on shortened data", INTRODUCTION]
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        lines = [
            [
                row["setting"],
                f"{row['valid_ndcg@10']:.4f}",
                f"{row['test_ndcg@10']:.4f}",
                f"{row['difference']:+.4f} ± {row['standard_error']:.4f}"
                if "against" in row
                else "–",
                row.get("against", "–"),
            ]
            for row in rows
            if row["dataset"] == dataset
        ]
        header = ["setting", "valid NDCG@10", "test NDCG@10", "difference", "from"]
        blocks += [f"## {dataset}", table(header, lines)]
    return "\n\n".join(blocks) + "\n"


if __name__ == "__main__":
    sys.exit(main())
