"""Are our baselines as good as published ones?

    python -m benchmarks.studies.sanity_bands --data FOLDER

Trains BPR and LightGCN on MovieLens-1M and compares Recall@10 and NDCG@10 with RecBole-GNN's
published table (`results/general/ml-1m.md` there). The protocol is the table's: ratings of 3 and
more, a random 8:1:1 split of each user's interactions, full ranking, d = 64. A random split needs
no timestamps, so files without them will do. The seed also draws the split, and the default is
RecBole's own. `--seeds` shows what other splits give.

FOLDER holds `ratings.dat` of MovieLens-1M, or `ratings*.parquet` with its columns.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path

from benchmarks.options import RESULTS
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.files import write_atomically, write_json

WORK = Path("work") / "sanity"
BAND = 0.03  # relative
SEED = 2020  # RecBole's default, which RecBole-GNN leaves alone

#: RecBole-GNN, results/general/ml-1m.md.
PUBLISHED = {
    "BPR": {"recall@10": 0.1776, "ndcg@10": 0.2401},
    "LightGCN": {"recall@10": 0.1861, "ndcg@10": 0.2538},
}
PROTOCOL = {
    "protocol": "recbole",
    "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": "user"},
    "load_col": {"inter": ["user_id", "item_id", "rating"]},
    "val_interval": {"rating": "[3,inf)"},
    "metrics": ["Recall", "NDCG", "Hit", "MRR"],
    "topk": [10],
    "valid_metric": "MRR@10",
    "embedding_size": 64,
    "train_batch_size": 4096,
    "epochs": 500,
    "eval_step": 1,
    "stopping_step": 10,
}
OPTIONS: dict[str, dict] = {
    "BPR": {"learning_rate": 0.001, "weight_decay": 0.0},
    "LightGCN": {"learning_rate": 0.002, "n_layers": 3, "reg_weight": 1e-4},
}


def write_atomic_file(data: Path, folder: Path) -> None:
    """Write MovieLens-1M's ratings as RecBole's `ml-1m.inter`. Raises InputError without them."""
    import pandas as pd

    found = [*data.glob("ratings.dat"), *sorted(data.glob("ratings*.parquet"))]
    if not found:
        raise InputError("neither ratings.dat nor ratings*.parquet is here", file=data)
    if found[0].suffix == ".parquet":
        ratings = pd.read_parquet(found[0]).iloc[:, :3]
    else:
        ratings = pd.read_csv(found[0], sep="::", engine="python", header=None).iloc[:, :3]
    ratings.columns = pd.Index(["user_id:token", "item_id:token", "rating:float"])
    write_atomically(folder / "ml-1m.inter", ratings.to_csv(sep="\t", index=False))


def main(arguments: list[str] | None = None) -> int:
    """Train, print the table, write sanity_bands.json; 1 when a number lies below its band."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.studies.sanity_bands", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of MovieLens-1M")
    parser.add_argument("--only", nargs="+", choices=PUBLISHED, default=list(PUBLISHED))
    parser.add_argument("--seeds", nargs="+", type=int, default=[SEED])
    parser.add_argument("--epochs", type=int, default=PROTOCOL["epochs"])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    write_atomic_file(options.data, WORK / "data" / "ml-1m")
    path = options.output / "sanity_bands.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    status = 0
    table = ["| model | seed | metric | published | ours | relative |", "|---|---|---|---|---|---|"]
    for model, seed in itertools.product(options.only, options.seeds):
        row = measure(model, seed, options.epochs)
        rows.setdefault(model, {})[str(seed)] = row
        write_json(path, rows)
        for metric, published in PUBLISHED[model].items():
            ours = row["test"][metric]
            relative = f"{ours / published - 1:+.1%}"
            table.append(f"| {model} | {seed} | {metric} | {published} | {ours:.4f} | {relative} |")
            status |= ours < (1 - BAND) * published
    print(*table, sep="\n")
    return int(status)


def measure(model: str, seed: int, epochs: int) -> dict:
    """Train `model` under the published protocol: its metrics and what they cost."""
    from llm4rec_recbole.training.run import run

    chosen = {
        **PROTOCOL,
        **OPTIONS[model],
        "epochs": epochs,
        "seed": seed,
        "data_path": str(WORK / "data"),
        "results_dir": str(WORK),
        "checkpoint_dir": str(WORK / "checkpoints"),
        "quiet": False,
        "show_progress": False,
    }
    record = json.loads(run(model, "ml-1m", options=chosen).read_text())
    return {
        "options": OPTIONS[model],
        "valid": record["metrics"]["valid"],
        "test": record["metrics"]["test"],
        "cost": record["cost"],
    }


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
