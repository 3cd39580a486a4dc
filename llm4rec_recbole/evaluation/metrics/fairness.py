"""Fairness: do groups of users get equally good lists, and groups of items equally many places?

    parity = 1 - Σ_{g ≠ h} w_g w_h · |b_g - b_h| / max(b_g, b_h)  /  Σ_{g ≠ h} w_g w_h

b_g is the mean benefit of group g, w_g its share of the members: how far, on average over two
members of different groups, the worse-off group lies behind the better-off one. With two groups it
is the ratio that the four-fifths rule looks at. The range is 0, one group gets everything, to 1.

    users     benefit: NDCG@k; groups: each known attribute (gender, age, occupation) by itself
    items     benefit: exposure Σ_u 1 / log2(rank + 2) in the top k; groups: categories, an item of
              n categories belonging to each with 1 / n (Singh & Joachims, KDD 2018)
    fairness  the mean of the two: users (themselves the mean over the attributes) and items

The paper prints one number and no formula; its Eq. 18 asks for demographic parity, and so both
parts compare groups as they are, not by merit. The gap is relative because an absolute one would
call a method that serves nobody fair. It is weighted by size because the means of small groups
differ by chance; some of every value's distance from 1 is such chance.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def parity(benefit: np.ndarray, membership: np.ndarray) -> float:
    """Parity of `benefit` between groups, 0..1; NaN with fewer than two groups.

    benefit: (N,) >= 0 of each member; membership: (N, G) >= 0, each member's part in each group.
    """
    sizes = membership.sum(axis=0)  # (G,)
    sizes, membership = sizes[sizes > 0], membership[:, sizes > 0]
    if len(sizes) < 2:
        return float("nan")
    return float(parity_of_means(benefit @ membership / sizes, sizes))


def parity_of_means(means: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Parity (…,) between groups of mean benefits (…, G), at least two, and `sizes` (G,) > 0."""
    one, other = means[..., :, None], means[..., None, :]
    larger = np.maximum(one, other)  # (…, G, G)
    gaps = np.abs(one - other) / np.where(larger > 0, larger, 1.0)
    weights = np.outer(sizes, sizes)
    np.fill_diagonal(weights, 0.0)
    return 1 - (weights * gaps).sum((-2, -1)) / weights.sum()


def user_parity(ndcg: np.ndarray, groups: np.ndarray) -> float:
    """Parity of the users' NDCG between groups; NaN with fewer than two groups.

    ndcg: (U,); groups: (U,) int, each user's group, -1 where it is not known.
    """
    known = groups >= 0
    present, group = np.unique(groups[known], return_inverse=True)
    return parity(ndcg[known], np.eye(len(present))[group])


def item_parity(top: np.ndarray, categories: np.ndarray, k: int) -> float:
    """Parity of the exposure of items in the top k between categories; NaN with fewer than two.

    top: (U, K) item ids, best first, 0 = none; categories: (n_items, C), not zero where the item
    is of that category. The items of no category stand outside.
    """
    top = top[:, :k]
    discount = np.broadcast_to(1 / np.log2(np.arange(top.shape[1]) + 2), top.shape)
    exposure = np.bincount(top.ravel(), discount.ravel(), minlength=len(categories))  # (n_items,)
    marks = categories != 0
    sizes = marks.sum(axis=1)
    known = sizes > 0
    return parity(exposure[known], marks[known] / sizes[known, None])


def fairness(users: Mapping[str, float], items: float) -> float:
    """The mean of the users' part and the items' part, 0..1; of the known one where one is NaN.

    users: the `user_parity` of each attribute; items: the `item_parity`. NaN with neither.
    """
    known_users = [value for value in users.values() if not np.isnan(value)]
    parts = [float(np.mean(known_users))] if known_users else []
    parts += [] if np.isnan(items) else [items]
    return float(np.mean(parts)) if parts else float("nan")
