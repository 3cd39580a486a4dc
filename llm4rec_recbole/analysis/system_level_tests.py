"""Tests of coverage and fairness, which are metrics of a whole run, not means over users.

The t test and the bootstrap do not apply. Under the null hypothesis a user's lists of the two
methods are exchangeable. So the test exchanges the lists of a random half of the users, computes
both metrics again, and repeats this. It is the randomization test of significance.py for any
statistic of a set of users. The standard deviation of the permuted differences is the standard
error of the interval and of the z test.

Both metrics are functions of sums over users. Coverage depends on how often each item is listed;
fairness depends on each user group's NDCG and each item category's exposure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.data.dataset_files import data_file
from llm4rec_recbole.data.features import item_categories, read_items, user_groups
from llm4rec_recbole.evaluation.metrics import ndcg, parity_of_means
from llm4rec_recbole.evaluation.record_reader import Record
from llm4rec_recbole.evaluation.users_file import has_lists, read_users

if TYPE_CHECKING:
    import scipy.sparse as sp


METRICS = ("coverage@100", "fairness@10")
PERMUTATIONS = 999
K = 10
TOLERANCE = 1e-9  # largest difference between a record and the value computed here
MAX_ELEMENTS = 1 << 24  # sums in memory at once


@dataclass(frozen=True, eq=False)
class UserSums:
    """A metric of a run as a function of a sum over its users, in the order of their tokens."""

    per_user: sp.csr_matrix  # (U, P)
    statistic: Callable[[np.ndarray], np.ndarray]  # (R, P) sums -> (R,)

    @property
    def value(self) -> float:
        """The metric of the run."""
        return float(self.statistic(np.asarray(self.per_user.sum(axis=0)))[0])


@dataclass(frozen=True)
class Difference:
    """The columns of comparisons.csv that describe a difference."""

    difference: float
    low: float
    high: float
    d: float  # z / √U, which is Cohen's d for a mean of U differences
    p_t: float  # of the z test
    p_randomization: float
    smallest_detectable: float


def permute_methods(
    ours: Sequence[UserSums], others: Sequence[UserSums], permutations: int = PERMUTATIONS
) -> np.ndarray:
    """Return permuted differences (permutations,) of the two methods' means over seeds.

    ours, others: one run per seed, equally many. A permutation exchanges the lists of a random half
    of the users, the same users in all seeds.
    """
    users = ours[0].per_user.shape[0]
    random = np.random.default_rng(0)
    exchanges = random.integers(0, 2, size=(permutations, users), dtype=np.int8)
    differences = np.zeros(permutations)
    for one, other in zip(ours, others, strict=True):
        total = np.asarray((one.per_user + other.per_user).sum(axis=0))  # (1, P)
        gaps = (one.per_user - other.per_user).T.tocsr()  # (P, U)
        low = np.asarray(other.per_user.sum(axis=0))
        step = max(1, MAX_ELEMENTS // total.shape[1])
        for start in range(0, permutations, step):
            unchanged = exchanges[start : start + step]  # 1 where the user's lists stay
            sums = low + (gaps @ unchanged.T.astype(np.float64)).T  # (R, P)
            differences[start : start + step] += one.statistic(sums) - one.statistic(total - sums)
    return differences / len(ours)


def compare_methods(ours: Sequence[UserSums], others: Sequence[UserSums]) -> Difference:
    """Test the difference between two methods' means over seeds.

    ours, others: one run per seed. If one method has fewer runs, as a deterministic one has, its
    runs are repeated until both have equally many. This changes no mean. Seeds are random where a
    method has several: the variance of its mean over seeds is added, and the degrees of freedom
    follow Satterthwaite (1946).
    """
    from scipy import stats

    difference = float(np.mean([a.value for a in ours]) - np.mean([b.value for b in others]))
    pairs = math.lcm(len(ours), len(others))
    permuted = permute_methods([*ours] * (pairs // len(ours)), [*others] * (pairs // len(others)))
    users = ours[0].per_user.shape[0]
    seed_variances = [
        (float(np.var([run.value for run in runs], ddof=1)) / len(runs), len(runs) - 1)
        for runs in (ours, others)
        if len(runs) > 1
    ]
    variance = float(permuted.var(ddof=1)) + sum(part for part, _ in seed_variances)
    squares = sum(part**2 / df for part, df in seed_variances)
    df, error = variance**2 / squares if squares else np.inf, variance**0.5
    z = difference / error if error else np.sign(difference) * np.inf if difference else 0.0
    extreme = int(np.count_nonzero(np.abs(permuted) >= abs(difference) - TOLERANCE))
    half, detects = (float(q) * error for q in stats.t.ppf([0.975, 0.8], df))
    return Difference(
        difference,
        difference - half,
        difference + half,
        d=float(z / users**0.5),
        p_t=float(2 * stats.t.sf(abs(z), df)),
        p_randomization=(extreme + 1) / (len(permuted) + 1),
        smallest_detectable=half + detects,
    )


def user_sums(
    methods: Mapping[str, Sequence[Record]], metric: str, data: Path
) -> dict[str, list[UserSums]]:
    """Return the runs of each method on one data set as sums over users.

    A method is left out if its users files and the data set do not reproduce the metric of its
    record. The result is empty if a users file has no lists.

    data: the folder that holds a folder of atomic files for each data set.
    """
    if not all(has_lists(record.users_path) for records in methods.values() for record in records):
        return {}
    column_of: dict[str, int] = {}  # listed item -> column
    sums_of: dict[str, list[UserSums]] = {}
    for method, records in methods.items():
        runs = [
            _coverage(record, column_of) if metric == METRICS[0] else _fairness(record, data)
            for record in records
        ]
        recorded = [record.beyond_accuracy[metric] for record in records]
        if all(
            sums is not None and value is not None and abs(sums.value - value) < TOLERANCE
            for sums, value in zip(runs, recorded)
        ):
            sums_of[method] = [sums for sums in runs if sums is not None]
    matrices = [run.per_user for runs in sums_of.values() for run in runs]
    for per_user in matrices:  # a later run may list new items: widen the earlier matrices
        per_user.resize(per_user.shape[0], max(matrix.shape[1] for matrix in matrices))
    return sums_of


def _coverage(record: Record, column_of: dict[str, int]) -> UserSums:
    """Return which items each user's top 100 lists, (U, items listed so far)."""
    lists = _users(record)["top_100"]
    columns = np.array([column_of.setdefault(t, len(column_of)) for row in lists for t in row])
    per_user = _counts(columns, np.ones(len(columns)), lists, len(column_of))
    share = (record.beyond_accuracy[METRICS[0]] or 0.0) / max(1, len(np.unique(columns)))
    return UserSums(per_user, lambda sums: share * (sums > 0.5).sum(axis=1))


def _fairness(record: Record, data: Path) -> UserSums | None:
    """Return each user group's NDCG and each item category's exposure; None without the data set.

    evaluation/metrics.py defines fairness.
    """
    from scipy import sparse

    table = _users(record)
    blocks: list[tuple[sp.csr_matrix, np.ndarray]] = []  # (U, G) and the groups' sizes (G,)
    accuracy = ndcg(table["rank_full"].to_numpy(), K)
    file = data_file(record.dataset, "user", data)
    for codes in user_groups(file, table["user"].to_numpy(str)).values():
        grouped = np.flatnonzero(codes >= 0)
        groups, group = np.unique(codes[grouped], return_inverse=True)
        if len(groups) > 1:
            shape = (len(table), len(groups))
            block = sparse.csr_matrix((accuracy[grouped], (grouped, group)), shape=shape)
            blocks.append((block, np.bincount(group).astype(float)))
    n_attributes = len(blocks)
    blocks += _exposure(table["top_100"].str[:K], data_file(record.dataset, "item", data))
    if not blocks:
        return None
    stops = np.cumsum([len(sizes) for _, sizes in blocks])

    def statistic(sums: np.ndarray) -> np.ndarray:
        blocks_of = zip(np.split(sums, stops[:-1], axis=1), (sizes for _, sizes in blocks))
        parities = [_parity(block, sizes) for block, sizes in blocks_of]
        parts = [np.mean(parities[:n_attributes], axis=0)] if n_attributes else []
        return np.mean(parts + parities[n_attributes:], axis=0)

    return UserSums(sparse.hstack([block for block, _ in blocks], format="csr"), statistic)


def _exposure(lists: Any, file: Path) -> list[tuple[sp.csr_matrix, np.ndarray]]:
    """Return the exposure that a user's list gives each category, (U, C), and category sizes (C,).

    Empty with fewer than two categories.
    """
    from scipy import sparse

    if not file.is_file():
        return []
    tokens = read_items(file)["item_id"].unique()
    categories = item_categories(file, tokens).astype(float)  # (n_items, C)
    categories = categories[:, categories.any(axis=0)]
    if categories.shape[1] < 2:
        return []
    categories /= np.maximum(categories.sum(axis=1, keepdims=True), 1)
    row_of = {token: row for row, token in enumerate(tokens)}
    listed = np.array([row_of.get(token, -1) for tokens_ in lists for token in tokens_])
    positions = np.concatenate([np.arange(len(tokens_)) for tokens_ in lists])
    discount = np.where(listed >= 0, 1 / np.log2(positions + 2), 0.0)
    exposure = _counts(np.maximum(listed, 0), discount, lists, len(tokens))
    return [(exposure @ sparse.csr_matrix(categories), categories.sum(axis=0))]


def _parity(sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return the parity (R,) of groups with `sums` (R, G); rounding errors count as 0."""
    means = np.where(sums > TOLERANCE, sums, 0.0) / sizes
    pieces = 1 + means.size * len(sizes) // MAX_ELEMENTS
    return np.concatenate([parity_of_means(m, sizes) for m in np.array_split(means, pieces)])


def _users(record: Record) -> Any:
    """Return the users file in the order of users, as users_file.py reads it."""
    users = read_users(record.users_path, ["user", "rank_full", "top_100"])
    return users.sort_values("user", kind="stable")


def _counts(columns: np.ndarray, values: np.ndarray, lists: Any, width: int) -> sp.csr_matrix:
    """Return a sparse matrix with one row per list: `values` at the concatenated `columns`."""
    from scipy import sparse

    ends = np.concatenate([[0], np.cumsum([len(items) for items in lists])])
    return sparse.csr_matrix((values, columns, ends), shape=(len(lists), width))
