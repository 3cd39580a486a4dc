"""Fake run records and users files, in the layout of real ones."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llm4rec_recbole.evaluation.metrics import accuracy
from llm4rec_recbole.evaluation.users_file import BEYOND_ACCURACY

DIFFICULTY = np.random.default_rng(0).permutation(60)


def ranks_around(middle: float, users: int = 60, seed: int = 0) -> np.ndarray:
    """Whole ranks, small for a small `middle`; users keep their difficulty between methods."""
    noise = np.random.default_rng(seed).exponential(1.0, users)
    return np.floor(middle * noise * (1 + DIFFICULTY[:users] / 60))


def add_run(
    results: Path,
    method: str,
    ranks: np.ndarray,
    *,
    dataset: str = "ml-100k",
    protocol: str = "loo",
    seed: int = 1,
    users: list[str] | None = None,
    beyond: dict[str, Any] | None = None,
    cost: dict[str, Any] | None = None,
    valid: float | None = -1.0,
    **provenance: str,
) -> Path:
    """Write one run with `ranks` in full, a third and a half of them in the sampled rankings.

    valid: the validation NDCG@10; by default the test NDCG@10, None for a record without history.
    """
    names = [f"u{i}" for i in range(len(ranks))] if users is None else users
    columns = {"full": ranks, "uni100": np.floor(ranks / 3), "pop100": np.floor(ranks / 2)}
    table = pd.DataFrame(
        {"user": names, "target": "i1"} | {f"rank_{name}": r for name, r in columns.items()}
    )
    lists = {
        "intra_list_diversity@10": 0.7,
        "coverage@100": 0.2,
        "novelty@10": 0.3,
        "fairness@10": 0.6,
    } | (beyond or {})
    listed = round(10 * (lists["coverage@100"] or 0))  # of ten items that there are
    table["top_100"] = [[f"i{item + 1}" for item in range(listed)]] * len(ranks)
    spread = 1 + 0.1 * (ranks - np.mean(ranks)) / (np.ptp(ranks) or 1)  # of mean 1
    for name in BEYOND_ACCURACY:
        table[name] = np.full(len(ranks), np.nan) if lists[name] is None else lists[name] * spread
    users_path = results / "users" / dataset / protocol / method / f"seed_{seed}.parquet"
    users_path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(users_path)
    valid = accuracy(ranks)["ndcg@10"] if valid == -1.0 else valid
    record = {
        "dataset": dataset,
        "protocol": protocol,
        "method": method,
        "seed": seed,
        "components": [],
        "history": [] if valid is None else [{"epoch": 1, "ndcg@10": valid}],
        "metrics": {
            "valid": {},
            "test": {name: accuracy(r) for name, r in columns.items()} | lists,
        },
        "cost": {
            "train_seconds": 12.34,
            "inference_ms_per_user": 0.25,
            "inference_batch_size": 256,
            "peak_memory_gb": 0.55,
            "model_size_mb": 11.2,
        }
        | (cost or {}),
        "provenance": {
            "data_sha256": "d" * 64,
            "lock_sha256": "e" * 64,
            "git_commit": "a" * 40,
            "device": "cpu",
            "hardware": "Some CPU, 2 cores",
            "threads": 2,
            "torch": "2.13.0",
            "python": "3.11.7",
        }
        | provenance,
    }
    path = results / "runs" / dataset / protocol / method / f"seed_{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
    return path


def add_failure(folder: Path, method: str, error: str, seed: int = 1) -> None:
    """Write the note that a failed run on ml-100k, loo, leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"ml-100k.loo.{method}.seed_{seed}.json").write_text(json.dumps({"error": error}))


def unescaped(markdown: str) -> str:
    """The text of a generated Markdown file without the escapes of brackets and `&`."""
    return re.sub(r"\\([\[\]()!])", r"\1", markdown).replace("&amp;", "&")
