"""Weights of terms that are added to a ranking's scores, chosen by the validation items.

    score(u, i) = base(u, i) + w · term(u, i),   w = the one of WEIGHTS with the best NDCG@10

A fixed weight does not carry over from one data set to another. The grid of powers of 2 covers
terms of any usual scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.evaluation.metrics import ndcg

#: The weights that are tried: 0, and the powers of 2 from 1/8 to 1024.
WEIGHTS = (0.0, *(2.0**step for step in range(-3, 11)))
MOST_ROWS = 2048  # of the validation items: more would not change a choice between neighbours
ROWS_AT_ONCE = 64

#: Rows (B,) of the held-out items → the base scores and the term, (B, n_items) each.
Parts = Callable[[np.ndarray], tuple[Any, Any]]


def rows_to_choose_by(held_out: HeldOut) -> list[np.ndarray]:
    """Batches of rows of `held_out`, at most MOST_ROWS rows in all, evenly spread."""
    n = min(len(held_out), MOST_ROWS)
    rows = np.unique(np.linspace(0, len(held_out) - 1, n).astype(np.int64)) if n else np.arange(0)
    return [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]


def best_weight(
    parts: Parts,
    held_out: HeldOut,
    weights: Sequence[float] = WEIGHTS,
    first_by_default: bool = False,
) -> float:
    """The weight with the best NDCG@10 of the held-out items; of equal ones the first.

    first_by_default: `choose` says when another one replaces the first weight.
    """
    values: list[np.ndarray] = []  # (W, B) of each batch
    for rows in rows_to_choose_by(held_out):
        base, term = map(torch.as_tensor, parts(rows))
        seen, targets = held_out.seen_mask(rows), held_out.targets[rows]
        values.append(ndcg_at_weights(base, term, targets, seen, weights))
    if not values:  # there is no held-out item to choose by
        return float(weights[0])
    row_values = np.concatenate(values, axis=1)  # (W, N)
    best = choose(row_values) if first_by_default else int(row_values.mean(1).argmax())
    return float(weights[best])


def choose(values: np.ndarray) -> int:
    """The candidate with the best mean; 0, the default, where that is not clearly better.

    values: (C, N), of the same held-out items under each candidate. Clearly better means that the
    mean gain over the default is above its standard error (the one-standard-error rule, Breiman et
    al. 1984): the best of many candidates is otherwise often the luckiest.
    """
    gains = values - values[0]  # (C, N)
    best = int(gains.mean(1).argmax())
    error = gains[best].std() / np.sqrt(gains.shape[1])
    return best if gains[best].mean() > error else 0


def ndcg_at_weights(
    base: torch.Tensor,
    term: torch.Tensor,
    targets: np.ndarray,
    seen: np.ndarray,
    weights: Sequence[float],
) -> np.ndarray:
    """NDCG@10 of base + w · term, of each row under each of the weights, (W, B).

    base, term: (B, n_items), -inf in `base` for an item that is never ranked; targets: (B,);
    seen: (B, n_items) bool. A candidate that scores the same as the target counts half.
    """
    own = torch.from_numpy(targets)[:, None]  # (B, 1)
    excluded = torch.from_numpy(seen).scatter(1, own, True)  # (B, n_items), the target too
    ahead = base - base.gather(1, own)  # (B, n_items): the lead over the target
    added = term - term.gather(1, own)
    ahead[excluded], added[excluded] = -torch.inf, 0.0
    values = []
    for weight in weights:
        lead = torch.add(ahead, added, alpha=weight) if weight else ahead
        ranks = ((lead > 0).sum(1) + (lead >= 0).sum(1)).numpy() / 2  # (B,), 0 is the best
        values.append(ndcg(ranks, 10))
    return np.array(values)
