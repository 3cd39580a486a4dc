"""Table I worked out again from the users files alone, without any of the project's code."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import ttest_rel

OURS = "EnhancedGenRec"
BASELINES = ("GenRec", "P5", "BPR", "LightGCN", "BERT4Rec")
TESTED = ["full_hit@10", "full_ndcg@10"]
COLUMNS = [f"{ranking}_{m}@10" for ranking in ("full", "uni100", "pop100") for m in ("hit", "ndcg")]

Place = tuple[str, str]  # dataset, protocol
Run = tuple[str, str, str]  # …, method


def values_of_users(users: Path) -> dict[Run, dict[str, np.ndarray]]:
    """{"full_hit@10": (U,), …} of each method: of every user, the mean over seeds."""
    runs: dict[Run, list[dict[str, np.ndarray]]] = defaultdict(list)
    for path in sorted(users.glob("*/*/*/seed_*.parquet")):
        dataset, protocol, method = path.parts[-4:-1]
        with pq.ParquetFile(path) as file:
            columns = {
                name: file.read([name])[0].to_pylist()
                for name in ("user", "rank_full", "rank_uni100", "rank_pop100")
            }
        order = np.argsort(columns["user"])
        found = {}
        for ranking in ("full", "uni100", "pop100"):
            ranks = np.array(columns[f"rank_{ranking}"])[order]
            found[f"{ranking}_hit@10"] = (ranks < 10).astype(float)
            found[f"{ranking}_ndcg@10"] = np.where(ranks < 10, 1 / np.log2(ranks + 2), 0)
        runs[dataset, protocol, method].append(found)
    return {
        run: {key: np.mean([seed[key] for seed in seeds], axis=0) for key in seeds[0]}
        for run, seeds in runs.items()
    }


def against_ours(
    values: dict[Run, dict[str, np.ndarray]], pairs: set[Run]
) -> dict[tuple[Run, str], float]:
    """(run, column) -> Holm's p of the paired t test of EnhancedGenRec against that run."""
    p = {
        (run, column): float(
            ttest_rel(values[(*run[:2], OURS)][column], values[run][column]).pvalue
        )
        for run in pairs
        for column in TESTED
    }
    adjusted, most = {}, 0.0
    for nth, key in enumerate(sorted(p, key=p.__getitem__)):  # Holm, stepping down
        most = max(most, min(1.0, (len(p) - nth) * p[key]))
        adjusted[key] = most
    return adjusted


def assert_table_1_is_that_of_the_users(
    lines: list[dict[str, str]], users: Path, references: dict[Place, str]
) -> int:
    """Every number and p of ours in the CSV's `lines` follows from the users files.

    references: the best reference of each data set and protocol. Returns how many numbers were
    compared, the p values not counted.
    """
    values = values_of_users(users)
    shown = {(line["dataset"], line["protocol"], line["method"]) for line in lines}
    pairs = {
        run
        for run in shown & set(values)
        if (*run[:2], OURS) in values and run[2] in (*BASELINES, references.get(run[:2]))
    }
    tests = against_ours(values, pairs)
    compared = 0
    for line in lines:
        run = (line["dataset"], line["protocol"], line["method"])
        for key in COLUMNS:
            where = (line["method"], key)
            if run not in values:
                assert line[key] == "", where
                continue
            assert abs(float(line[key]) - values[run][key].mean()) < 1e-6, where
            compared += 1
        for key in TESTED:
            where = (line["method"], key)
            if (run, key) not in tests:
                assert line[f"{key}_p_holm"] == "", where
                continue
            assert line[f"{key}_compared_with"] == OURS, where
            p = tests[run, key]
            assert abs(float(line[f"{key}_p_holm"]) - p) <= 1e-3 * p, where
    return compared
