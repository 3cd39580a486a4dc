"""Table I worked out again from the users files alone, without any of the project's code."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq


def table_1_from_users(users: Path) -> dict[tuple[str, str, str], dict[str, float]]:
    """(dataset, protocol, method) -> {"full_hit@10": …}, means over users, then over seeds."""
    runs: dict[tuple[str, str, str], list[dict[str, float]]] = defaultdict(list)
    for path in sorted(users.glob("*/*/*/seed_*.parquet")):
        dataset, protocol, method = path.parts[-4:-1]
        found = {}
        for ranking in ("full", "uni100", "pop100"):
            with pq.ParquetFile(path) as file:
                ranks = file.read([f"rank_{ranking}"])[0].to_pylist()
            inside = [rank for rank in ranks if rank < 10]
            found[f"{ranking}_hit@10"] = len(inside) / len(ranks)
            gains = sum(1 / math.log2(rank + 2) for rank in inside)
            found[f"{ranking}_ndcg@10"] = gains / len(ranks)
        runs[dataset, protocol, method].append(found)
    return {
        run: {key: sum(seed[key] for seed in seeds) / len(seeds) for key in seeds[0]}
        for run, seeds in runs.items()
    }


def assert_table_1_is_that_of_the_users(lines: list[dict[str, str]], users: Path) -> int:
    """Every number of ours in the CSV's `lines` follows from the users files, and none is missing.

    Returns how many numbers were compared.
    """
    expected = table_1_from_users(users)
    compared = 0
    for line in lines:
        run = expected.get((line["dataset"], line["protocol"], line["method"]))
        for ranking in ("full", "uni100", "pop100"):
            for key in (f"{ranking}_hit@10", f"{ranking}_ndcg@10"):
                if run is None:
                    assert line[key] == "", (line["method"], key)
                else:
                    assert abs(float(line[key]) - run[key]) < 1e-6, (line["method"], key)
                    compared += 1
    return compared
