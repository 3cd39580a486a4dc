"""How much does it matter which of several interactions at the same time is taken for the last?

    python -m benchmarks.studies.tie_breaking

splits ml-100k by `loo` with ties broken by file order (the rule), by reverse file order and by
chance, and ranks the test items anew each time: by popularity, by EASE, and by EASE on a history
whose weight decays with age. The table goes to docs/data.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np

from llm4rec_recbole.data.dataset_paths import BUNDLED_DATASET, dataset_folder
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.data.interactions import Interactions, read_interactions
from llm4rec_recbole.data.splits import Split, leave_one_out
from llm4rec_recbole.evaluation.metrics import hit, ndcg
from llm4rec_recbole.evaluation.ranking import full_ranks

_PENALTY, _DECAY = 200.0, 0.9


def pop(train: np.ndarray, held_out: HeldOut) -> np.ndarray:
    """How often each item is trained on, for each user alike: (U, n_items)."""
    return np.tile(train.sum(axis=0), (len(held_out), 1))


def ease(train: np.ndarray, held_out: HeldOut, decay: float = 1.0) -> np.ndarray:
    """EASE (Steck 2019, eq. 8), λ = 200, on histories that weigh decay^age: (U, n_items).

    train: (n_users, n_items), 1 where a user is trained on an item; age 0 is the latest item's.
    """
    inverse = np.linalg.inv(train.T @ train + _PENALTY * np.eye(train.shape[1]))
    weights = inverse / -np.diag(inverse)  # (n_items, n_items)
    np.fill_diagonal(weights, 0)
    lengths = np.diff(held_out.indptr)
    rows = np.repeat(np.arange(len(held_out)), lengths)
    age = np.repeat(held_out.indptr[1:], lengths) - 1 - np.arange(len(rows))
    history = np.zeros((len(held_out), held_out.n_items))
    history[rows, held_out.items] = decay**age
    return history @ weights


def recency_ease(train: np.ndarray, held_out: HeldOut) -> np.ndarray:
    """EASE on histories that weigh 0.9^age."""
    return ease(train, held_out, _DECAY)


METHODS: dict[str, Callable[[np.ndarray, HeldOut], np.ndarray]] = {
    "Pop": pop,
    "EASE": ease,
    "RecencyEASE": recency_ease,
}


def split_in_order(log: Interactions, order: np.ndarray) -> Split:
    """Split by `loo` as if the file had its rows in `order` (N,): the first of tied rows is the one
    that comes first in `order`. `train` are row numbers of the file as it is."""
    split = leave_one_out(
        log.users[order], log.items[order], log.times[order], len(log.item_tokens)
    )
    return Split(order[split.train], split.valid, split.test, split.counts)


def quality(log: Interactions, split: Split) -> dict[str, tuple[float, float]]:
    """HR@10 and NDCG@10 on test, full ranking, of each method."""
    train = np.zeros((len(log.user_tokens), len(log.item_tokens)))
    train[log.users[split.train], log.items[split.train]] = 1
    seen = split.test.seen_mask(np.arange(len(split.test)))
    result = {}
    for name, score in METHODS.items():
        ranks = full_ranks(score(train, split.test), split.test.targets, seen)
        result[name] = float(hit(ranks, 10).mean()), float(ndcg(ranks, 10).mean())
    return result


def measure(log: Interactions, draws: int) -> dict[str, list[tuple[Split, dict]]]:
    """The splits and qualities under each rule; `draws` of them for the rule by chance."""
    rows = np.arange(len(log.users))
    orders = {
        "file order": [rows],
        "reverse file order": [rows[::-1]],
        "random": [np.random.default_rng(seed).permutation(rows) for seed in range(draws)],
    }
    return {
        rule: [(split, quality(log, split)) for split in (split_in_order(log, o) for o in some)]
        for rule, some in orders.items()
    }


def table(measured: dict[str, list[tuple[Split, dict]]]) -> str:
    """One line for each rule: users whose test item differs from the rule's, and HR@10 / NDCG@10,
    mean ± standard deviation [least, most] over the draws."""
    reference = measured["file order"][0][0].test.targets
    lines = [f"| ties broken by | other test item | {' | '.join(METHODS)} |", "|---" * 5 + "|"]
    for rule, some in measured.items():
        moved = np.mean([(split.test.targets != reference).sum() for split, _ in some])
        cells = [_cell(np.array([by_method[name] for _, by_method in some])) for name in METHODS]
        lines.append(f"| {rule} | {moved:.0f} users | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: np.ndarray) -> str:
    """values: (draws, 2)"""
    if len(values) == 1:
        return " / ".join(f"{value:.4f}" for value in values[0])
    return " / ".join(
        f"{column.mean():.4f} ± {column.std(ddof=1):.4f} [{column.min():.4f}, {column.max():.4f}]"
        for column in values.T
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studies.tie_breaking")
    parser.add_argument("--draws", type=int, default=20, help="random orders (default: 20)")
    draws = parser.parse_args(arguments).draws
    log = read_interactions(dataset_folder(BUNDLED_DATASET) / f"{BUNDLED_DATASET}.inter")
    print("HR@10 / NDCG@10 on ml-100k, loo, full ranking\n")
    print(table(measure(log, draws)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
