"""Catalogue coverage: the share of all items that anybody gets recommended.

    coverage@k = |∪_u top-k(u)| / |I|

(Ge, Delgado-Battenfeld & Jannach, RecSys 2010.) The range is 0 to 1; U users can reach at most
U k / |I|. I is the whole catalogue, also the items without an interaction in training, but not
the pad, which RecBole's ItemCoverage counts. The paper prints coverage@100.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np


def coverage(top: np.ndarray, n_items: int, k: int) -> float:
    """coverage@k of all lists; top: (U, K) item ids, 0 = none; n_items counts the pad."""
    listed = np.unique(top[:, :k])
    return float(np.count_nonzero(listed) / (n_items - 1))


# Fairness: do groups of users get equally good lists, and groups of items equally many places?
#
#     parity = 1 - Σ_{g ≠ h} w_g w_h · |b_g - b_h| / max(b_g, b_h)  /  Σ_{g ≠ h} w_g w_h
#
# b_g is the mean benefit of group g, w_g its share of the members: how far, on average over two
# members of different groups, the worse-off group lies behind the better-off one. With two groups
# it
# is the ratio that the four-fifths rule looks at. The range is 0, one group gets everything, to 1.
#
#     users     benefit: NDCG@k; groups: each known attribute (gender, age, occupation) by itself
#     items     benefit: exposure Σ_u 1 / log2(rank + 2) in the top k; groups: categories, an item
#     of
#               n categories belonging to each with 1 / n (Singh & Joachims, KDD 2018)
#     fairness  the mean of the two: users (themselves the mean over the attributes) and items
#
# The paper prints one number and no formula; its Eq. 18 asks for demographic parity, and so both
# parts compare groups as they are, not by merit. The gap is relative because an absolute one would
# call a method that serves nobody fair. It is weighted by size because the means of small groups
# differ by chance; some of every value's distance from 1 is such chance.


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


# Hit rate: is the held-out item among the first k?


def hit(ranks: np.ndarray, k: int) -> np.ndarray:
    """HR@k of each user: 1 if rank < k, else 0.

    ranks: (U,), 0 = best, ties counted half. Returns (U,) float64. With one held-out item for
    each user it equals Recall@k (Deshpande & Karypis, TOIS 2004).
    """
    return (np.asarray(ranks) < k).astype(np.float64)


# Intra-list diversity: how little the items of a list have in common.
#
#     ILD@k(u) = 1 / (n (n - 1)) · Σ_{i ≠ j} (1 - cos(c_i, c_j)),   i, j among the first k for u
#
# c_i marks the item's categories with ones (Ziegler et al., WWW 2005, with genres for their
# taxonomy). The range is 0, all items of the same categories, to 1, no category shared by any two.
# The paper gives no formula: the cosine is chosen since its own similarities (Eqs. 7, 21) are
# cosines. Items without a known category are left out of their lists.


_CHUNK = 1024  # users whose vectors are held at once


def intra_list_diversity(top: np.ndarray, categories: np.ndarray, k: int) -> np.ndarray:
    """ILD@k of each user, (U,) float64; NaN where fewer than two items have a known category.

    top: (U, K) item ids, best first, 0 = none; categories: (n_items, C), not zero where the item
    is of that category, the pad of none.
    """
    starts = range(0, len(top), _CHUNK)
    parts = [_diversity(categories[top[start : start + _CHUNK, :k]] != 0) for start in starts]
    return np.concatenate(parts) if parts else np.empty(0)


def _diversity(marks: np.ndarray) -> np.ndarray:
    """From marks (U, k, C): |Σ v|² of n unit vectors v is n + Σ_{i≠j} cos, so no pair is formed."""
    sizes = marks.sum(axis=2)  # (U, k)
    n = np.count_nonzero(sizes, axis=1)  # (U,)
    units = marks / np.sqrt(np.maximum(sizes, 1))[:, :, None]  # (U, k, C)
    cosines = (units.sum(axis=1) ** 2).sum(axis=1) - n  # (U,), over ordered pairs
    mean = cosines / np.where(n > 1, n * (n - 1), np.nan)
    return np.clip(1 - mean, 0.0, 1.0)


# Reciprocal rank, cut off at k.


def mrr(ranks: np.ndarray, k: int) -> np.ndarray:
    """MRR@k of each user: 1 / (rank + 1) if rank < k, else 0.

    ranks: (U,), 0 = best, ties counted half. Returns (U,) float64 (Voorhees, TREC-8, 1999).
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    return np.where(ranks < k, 1 / (ranks + 1), 0.0)


# Normalised discounted cumulative gain with one relevant item.


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k of each user: 1 / log2(rank + 2) if rank < k, else 0.

    ranks: (U,), 0 = best, ties counted half. Returns (U,) float64. The ideal list has the one
    held-out item first, so the ideal gain is 1 (Järvelin & Kekäläinen, TOIS 2002).
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    return np.where(ranks < k, 1 / np.log2(ranks + 2), 0.0)


# Per-user ranking metrics, one a file, and the five that every run record holds.


ACCURACY: dict[str, tuple[Callable[[np.ndarray, int], np.ndarray], int]] = {
    "hit@5": (hit, 5),
    "hit@10": (hit, 10),
    "ndcg@5": (ndcg, 5),
    "ndcg@10": (ndcg, 10),
    "mrr@10": (mrr, 10),
}


def accuracy(ranks: np.ndarray) -> dict[str, float]:
    """Mean over users of each of the five metrics; ranks: (U,) with U > 0, 0 = best."""
    return {name: float(metric(ranks, k).mean()) for name, (metric, k) in ACCURACY.items()}


# Novelty: how few of the users know what is recommended.
#
#     novelty@k(u) = 1/k · Σ_{i in top-k(u)} -log2 p(i) / log2 |U|,   p(i) = |U_i| / |U|
#
# the mean self-information (Zhou et al., PNAS 2010; Vargas & Castells, RecSys 2011). U are the
# users
# in training and U_i those of them who interacted with i there. The paper gives no formula but
# prints
# values below 1: here the information of an item that one user knows, log2 |U|, is the unit. So the
# range is 0, everybody knows all of it, to 1, nobody more than one user. An item that is new after
# training counts as known by one user.


def item_novelty(user_counts: np.ndarray, n_users: int) -> np.ndarray:
    """Normalised self-information of each item, (n_items,) in 0..1.

    user_counts: (n_items,), how many of the `n_users` training users interacted with each item.
    """
    share = np.maximum(user_counts, 1) / n_users
    return -np.log2(share) / max(np.log2(n_users), 1.0)


def novelty(top: np.ndarray, item_novelty: np.ndarray, k: int) -> np.ndarray:
    """novelty@k of each user, (U,) float64; NaN for an empty list.

    top: (U, K) item ids, best first, 0 = none; item_novelty: (n_items,) from `item_novelty`.
    """
    listed = top[:, :k] > 0  # (U, k)
    n = listed.sum(axis=1)
    total = np.where(listed, item_novelty[top[:, :k]], 0.0).sum(axis=1)
    return total / np.where(n > 0, n, np.nan)
