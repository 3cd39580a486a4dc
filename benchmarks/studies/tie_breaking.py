"""How much do results depend on the order of interactions with equal times?

    python -m benchmarks.studies.tie_breaking

Splits ml-100k by `loo` with ties broken by file order (the rule), in reverse and at random. Each
split ranks the test items by popularity, by EASE, and by EASE on histories whose weight decays
with age. The table is in docs/data.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np

from llm4rec_recbole.data.dataset_files import BUNDLED_DATASET, dataset_folder
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.data.splits import Log, Split, leave_one_out
from llm4rec_recbole.datasets.prepare import Interactions, read_interactions
from llm4rec_recbole.evaluation.metrics import hit, ndcg
from llm4rec_recbole.evaluation.ranking import full_ranks

_PENALTY, _DECAY = 200.0, 0.9


def pop(train: np.ndarray, held_out: HeldOut) -> np.ndarray:
    """Return the training count of each item, the same for every user: (U, n_items)."""
    return np.tile(train.sum(axis=0), (len(held_out), 1))


def ease(train: np.ndarray, held_out: HeldOut, decay: float = 1.0) -> np.ndarray:
    """Return scores of EASE (Steck 2019, eq. 8), λ = 200, (U, n_items).

    An item of age a has the weight decay^a in the history; the latest item has age 0. train:
    (n_users, n_items), 1 for a training interaction.
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
    """Return scores of EASE on histories with the weight 0.9^age."""
    return ease(train, held_out, _DECAY)


METHODS: dict[str, Callable[[np.ndarray, HeldOut], np.ndarray]] = {
    "Pop": pop,
    "EASE": ease,
    "RecencyEASE": recency_ease,
}


def split_in_order(log: Interactions, order: np.ndarray) -> Split:
    """Split by `loo` with ties broken by `order` (N,), a permutation of the file's rows.

    `train` has row numbers of the file itself.
    """
    split = leave_one_out(
        Log(log.users[order], log.items[order], log.times[order], len(log.item_tokens))
    )
    split.log.rows = order[split.log.rows]
    return split


def quality(log: Interactions, split: Split) -> dict[str, tuple[float, float]]:
    """Return each method's test HR@10 and NDCG@10, full ranking."""
    train = np.zeros((len(log.user_tokens), len(log.item_tokens)))
    train[log.users[split.train], log.items[split.train]] = 1
    seen = split.test.seen_mask(np.arange(len(split.test)))
    result = {}
    for name, score in METHODS.items():
        ranks = full_ranks(score(train, split.test), split.test.targets, seen)
        result[name] = float(hit(ranks, 10).mean()), float(ndcg(ranks, 10).mean())
    return result


def measure(log: Interactions, draws: int) -> dict[str, list[tuple[Split, dict]]]:
    """Return the splits and metrics of each rule; the random rule has `draws` of them."""
    rows = np.arange(len(log.users))
    orders = {
        "file order": [rows],
        "reverse file order": [rows[::-1]],
        "random": [np.random.default_rng(seed).permutation(rows) for seed in range(draws)],
    }
    return {
        rule: [
            (split, quality(log, split)) for split in (split_in_order(log, o) for o in rule_orders)
        ]
        for rule, rule_orders in orders.items()
    }


def table(measured: dict[str, list[tuple[Split, dict]]]) -> str:
    """Return a table with one line for each rule.

    Columns: users with another test item than by file order, and each method's HR@10 / NDCG@10 as
    mean ± standard deviation [lowest, highest] over the draws.
    """
    reference = measured["file order"][0][0].test.targets
    lines = [f"| ties broken by | other test item | {' | '.join(METHODS)} |", "|---" * 5 + "|"]
    for rule, draws in measured.items():
        moved = np.mean([(split.test.targets != reference).sum() for split, _ in draws])
        cells = [_cell(np.array([by_method[name] for _, by_method in draws])) for name in METHODS]
        lines.append(f"| {rule} | {moved:.0f} users | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: np.ndarray) -> str:
    """Return HR@10 / NDCG@10 of `values` (draws, 2) as text."""
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
