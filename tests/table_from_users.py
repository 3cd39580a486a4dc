"""Table I worked out again from the users files alone, without any of the project's code."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import ttest_rel

OURS = "EnhancedGenRec"
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


def against_best(
    values: dict[Run, dict[str, np.ndarray]],
) -> dict[tuple[Run, str], tuple[str, float]]:
    """(run, column) -> its best baseline and Holm's p of the paired t test against that one."""
    places: dict[Place, list[str]] = defaultdict(list)
    for dataset, protocol, method in values:
        places[dataset, protocol].append(method)
    best, p = {}, {}
    for place, methods in places.items():
        for column in COLUMNS:
            means = {m: values[(*place, m)][column].mean() for m in methods if m != OURS}
            if not means:
                continue
            baseline = max(means, key=means.__getitem__)
            for method in set(methods) - {baseline}:
                key = (*place, method), column
                pair = [values[(*place, m)][column] for m in (method, baseline)]
                best[key], p[key] = baseline, float(ttest_rel(*pair).pvalue)
    adjusted, most = {}, 0.0
    for nth, key in enumerate(sorted(p, key=p.__getitem__)):  # Holm, stepping down
        most = max(most, min(1.0, (len(p) - nth) * p[key]))
        adjusted[key] = best[key], most
    return adjusted


def assert_table_1_is_that_of_the_users(lines: list[dict[str, str]], users: Path) -> int:
    """Every number, best baseline and p of ours in the CSV's `lines` follows from the users files,
    and none is missing. Returns how many numbers were compared, the p values not counted."""
    values = values_of_users(users)
    shown = {(line["dataset"], line["protocol"], line["method"]) for line in lines}
    tests = against_best({run: columns for run, columns in values.items() if run in shown})
    compared = 0
    for line in lines:
        run = (line["dataset"], line["protocol"], line["method"])
        for key in COLUMNS:
            where = (line["method"], key)
            if run not in values:
                assert line[key] == line[f"{key}_p_holm"] == "", where
                continue
            assert abs(float(line[key]) - values[run][key].mean()) < 1e-6, where
            compared += 1
            if (run, key) not in tests:  # the best baseline itself
                assert line[f"{key}_p_holm"] == "", where
                continue
            baseline, p = tests[run, key]
            assert line[f"{key}_best_baseline"] == baseline, where
            assert abs(float(line[f"{key}_p_holm"]) - p) <= 1e-3 * p, where
    return compared
