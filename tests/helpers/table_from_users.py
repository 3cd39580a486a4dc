"""Table I worked out again from the users files alone, without any of the project's code."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import t as student_t

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
        run: {key: np.stack([seed[key] for seed in seeds]) for key in seeds[0]}  # (S, U)
        for run, seeds in runs.items()
    }


def p_value(one: np.ndarray, other: np.ndarray) -> float:
    """p of the mean difference of two methods' values (S, U): users are random, and so are seeds.

    Written on its own, to check analysis/significance.users_and_seeds. With one seed each it is the
    paired t test.
    """
    difference = one.mean(0) - other.mean(0)
    users = len(difference)
    variance = difference.var(ddof=1) / users
    squares, least = variance**2 / (users - 1), users - 1
    for values in (one, other):
        seeds = len(values)
        if seeds < 2:
            continue
        least = min(least, seeds - 1)
        between = values.mean(1).var(ddof=1) / seeds
        rest = 0.0
        for seed in range(seeds):
            for user in range(users):
                both = values[seed].mean() + values[:, user].mean() - values.mean()
                rest += (values[seed, user] - both) ** 2
        df = (seeds - 1) * (users - 1)
        counted = rest / df / (seeds * users)
        if between > counted:
            variance += between - counted
            squares += between**2 / (seeds - 1) + counted**2 / df
    df = max(variance**2 / squares, least)
    return float(2 * student_t.sf(abs(difference.mean()) / np.sqrt(variance), df))


def against_ours(
    values: dict[Run, dict[str, np.ndarray]], pairs: set[Run]
) -> dict[tuple[Run, str], float]:
    """(run, column) -> Holm's p of the test of EnhancedGenRec against that run."""
    p = {
        (run, column): p_value(values[(*run[:2], OURS)][column], values[run][column])
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
            if (run, key) not in tests:  # nulls are another family
                assert run[2] not in BASELINES or line[f"{key}_p_holm"] == "", where
                continue
            assert line[f"{key}_compared_with"] == OURS, where
            p = tests[run, key]
            assert abs(float(line[f"{key}_p_holm"]) - p) <= 1e-3 * p, where
    return compared
