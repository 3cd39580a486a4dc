"""How unequal groups of users look by chance alone: results/fairness_chance.csv.

    python -m llm4rec_recbole.analysis.fairness_null --results results --data dataset

The users' part of fairness compares means of groups, and means of small groups differ even where
nobody is treated differently. So the groups are dealt anew to the same users many times, and the
middle 95 % of the values that come out are what chance makes of this many users. All attributes of
a user move together, as they belong together.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from llm4rec_recbole.data.dataset_paths import data_file
from llm4rec_recbole.data.features import user_groups
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.evaluation.metrics import ndcg, parity
from llm4rec_recbole.evaluation.records import Record, read_records, read_rows, write_rows
from llm4rec_recbole.evaluation.users_file import read_users

FILE = "fairness_chance.csv"
SHUFFLES = 499
K = 10


@dataclass(frozen=True)
class Chance:
    """The users' part of one run's fairness, and its 95 % range with the groups shuffled."""

    dataset: str
    protocol: str
    method: str
    seed: int
    users: int
    users_part: float
    low: float
    high: float
    shuffles: int


def shuffled(
    benefit: np.ndarray, groups: Mapping[str, np.ndarray], shuffles: int = SHUFFLES, seed: int = 0
) -> tuple[float, np.ndarray]:
    """The mean parity over the attributes as it is, and (shuffles,) with the groups dealt anew.

    benefit: (U,); groups: each attribute's (U,) int, -1 where it is not known, with at least two
    groups among these users.
    """
    memberships = [np.eye(codes.max() + 1)[codes] * (codes >= 0)[:, None]
                   for codes in groups.values()]  # fmt: skip

    def part(its: np.ndarray) -> float:
        return float(np.mean([parity(its, membership) for membership in memberships]))

    random = np.random.default_rng(seed)
    dealt = [part(random.permutation(benefit)) for _ in range(shuffles)]
    return part(benefit), np.array(dealt)


def chance(results: Path, data: Path) -> list[Chance]:
    """A row for each run on a data set that is here and names groups of users.

    data: the folder of the data sets' atomic files, each in one of its own.

    Raises InputError for a bad or absent users file.
    """
    found = [_row(record, data) for record in read_records(results)]
    return [row for row in found if row is not None]


def _row(record: Record, data: Path) -> Chance | None:
    users = read_users(record.users_path, ["user", "rank_full"])
    attributes = user_groups(data_file(record.dataset, "user", data), users["user"].to_numpy(str))
    several = {name: c for name, c in attributes.items() if len(np.unique(c[c >= 0])) > 1}
    if not several:
        return None
    measured, dealt = shuffled(ndcg(users["rank_full"].to_numpy(), K), several)
    low, high = np.quantile(dealt, [0.025, 0.975])
    return Chance(record.dataset, record.protocol, record.method, record.seed, len(users), measured,
                  float(low), float(high), SHUFFLES)  # fmt: skip


def read_chance(path: Path) -> list[Chance]:
    """The rows of results/fairness_chance.csv; [] where it was not run. InputError names a bad
    line."""
    hint = "run `python -m llm4rec_recbole.analysis.fairness_null` again"
    return read_rows(path, Chance, hint) if path.is_file() else []


def main(arguments: list[str] | None = None) -> int:
    """Write results/fairness_chance.csv; returns the exit code, 2 for bad input."""
    parser = argparse.ArgumentParser(description="How unequal user groups look by chance alone.")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the runs")
    parser.add_argument("--data", type=Path, default=Path("dataset"),
                        help="folder of the data sets' atomic files")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        rows = chance(options.results, options.data)
        write_rows(options.results / FILE, Chance, rows)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(rows)} runs in {options.results / FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
