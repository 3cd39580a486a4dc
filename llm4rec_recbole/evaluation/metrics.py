"""Metrics of one run: accuracy per user, and diversity, coverage, novelty, fairness of its lists.

Accuracy        hit, ndcg, mrr of the held-out item's rank, per user; `accuracy` averages them
Diversity       intra_list_diversity: how little the items of a list have in common, per user
Novelty         novelty: how few training users know the listed items, per user
Coverage        coverage: share of the catalogue that anybody is recommended
Fairness        fairness: equal NDCG between groups of users, equal exposure between categories

Ranks are (U,), 0 = best, ties counted half. Lists are (U, K) item ids, best first, 0 = none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np


def coverage(top: np.ndarray, n_items: int, k: int) -> float:
    """Catalogue coverage: |∪_u top-k(u)| / |I| (Ge, Delgado-Battenfeld & Jannach, RecSys 2010).

    top: (U, K). n_items counts the pad. The range is 0 to 1; U users reach at most U k / |I|. I is
    the whole catalogue, with items that never occur in training, without the pad. RecBole's
    ItemCoverage counts the pad. The paper prints coverage@100.
    """
    listed = np.unique(top[:, :k])
    return float(np.count_nonzero(listed) / (n_items - 1))


# Fairness: equally good lists for groups of users, and equal exposure for groups of items.
#
#     parity = 1 - Σ_{g ≠ h} w_g w_h · |b_g - b_h| / max(b_g, b_h)  /  Σ_{g ≠ h} w_g w_h
#
# b_g is the mean benefit of group g, w_g its share of the members. Parity says how far the worse
# off group is behind, on average over two members of different groups. With two groups it is the
# ratio of the four-fifths rule. The range is 0, one group gets everything, to 1.
#
#     users     benefit: NDCG@k; groups: gender, age, occupation, each attribute by itself
#     items     benefit: exposure Σ_u 1 / log2(rank + 2) in the top k; groups: categories. An item
#               of n categories belongs to each with 1 / n (Singh & Joachims, KDD 2018).
#     fairness  the mean of users (themselves the mean over the attributes) and items
#
# The paper prints one number and no formula. Its Eq. 18 asks for demographic parity, so both parts
# compare groups as they are, not by merit. The gap is relative: an absolute gap would call a method
# fair that serves nobody. It is weighted by size, because means of small groups differ by chance.
# Part of every value's distance from 1 is such chance.


def parity(benefit: np.ndarray, membership: np.ndarray) -> float:
    """Parity of `benefit` between groups, 0..1; NaN with fewer than two groups.

    benefit: (N,) >= 0 of each member; membership: (N, G) >= 0, each member's part in each group.
    """
    return _parity(benefit, *_present_groups(membership))


def _present_groups(membership: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The columns of `membership` (N, G) that have members, and their sizes."""
    sizes = membership.sum(axis=0)  # (G,)
    return membership[:, sizes > 0], sizes[sizes > 0]


def _parity(benefit: np.ndarray, membership: np.ndarray, sizes: np.ndarray) -> float:
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
    has_group = groups >= 0
    present, group = np.unique(groups[has_group], return_inverse=True)
    return parity(ndcg[has_group], np.eye(len(present))[group])


def item_parity(top: np.ndarray, categories: np.ndarray, k: int) -> float:
    """Parity of the exposure of items in the top k between categories; NaN with fewer than two.

    top: (U, K) item ids, best first, 0 = none; categories: (n_items, C), not zero where the item
    is of that category. Items without a category do not count.
    """
    return parity(*exposure_of_categories(top, categories, k))


def exposure_of_categories(
    top: np.ndarray, categories: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Exposure (N,) of the items that have a category, and their membership (N, C) in categories.

    top and categories as in `item_parity`.
    """
    top = top[:, :k]
    discount = np.broadcast_to(1 / np.log2(np.arange(top.shape[1]) + 2), top.shape)
    exposure = np.bincount(top.ravel(), discount.ravel(), minlength=len(categories))  # (n_items,)
    marks = categories != 0
    sizes = marks.sum(axis=1)
    has_category = sizes > 0
    return exposure[has_category], marks[has_category] / sizes[has_category, None]


def fairness(users: Mapping[str, float], items: float) -> float:
    """The mean of the users' part and the items' part, 0..1; the other part where one is NaN.

    users: the `user_parity` of each attribute; items: the `item_parity`. NaN with neither.
    """
    return mean_of_known(np.array([mean_of_known(np.array(list(users.values()))), items]))


def shuffled_parity(
    benefit: np.ndarray, memberships: Sequence[np.ndarray], shuffles: int
) -> np.ndarray:
    """The mean parity over `memberships` when members have random groups, (shuffles,).

    benefit: (N,) of each member; memberships: (N, G) each, as in `parity`. All groups of a member
    move together.
    """
    random = np.random.default_rng(0)
    groups = [_present_groups(membership) for membership in memberships]
    values = np.empty(shuffles)
    for n in range(shuffles):
        shuffled = random.permutation(benefit)
        values[n] = np.mean([_parity(shuffled, *group) for group in groups])
    return values


def hit(ranks: np.ndarray, k: int) -> np.ndarray:
    """HR@k of each user: 1 if rank < k, else 0.

    ranks: (U,), 0 = best, ties counted half. Returns (U,) float64. With one held-out item for
    each user it equals Recall@k (Deshpande & Karypis, TOIS 2004).
    """
    return (np.asarray(ranks) < k).astype(np.float64)


_CHUNK = 1024  # users whose item vectors are in memory at once


def intra_list_diversity(top: np.ndarray, categories: np.ndarray, k: int) -> np.ndarray:
    """ILD@k of each user, (U,) float64; NaN where fewer than two items have a category.

    ILD@k(u) = 1 / (n (n - 1)) · Σ_{i ≠ j} (1 - cos(c_i, c_j)) over the first k items of u that have
    a category (Ziegler et al., WWW 2005, with genres for their taxonomy). c_i is 1 at the item's
    categories. The range is 0, all items of the same categories, to 1, no two share a category. The
    paper gives no formula; its own similarities (Eqs. 7, 21) are cosines.

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


def mrr(ranks: np.ndarray, k: int) -> np.ndarray:
    """MRR@k of each user: 1 / (rank + 1) if rank < k, else 0.

    ranks: (U,), 0 = best, ties counted half. Returns (U,) float64 (Voorhees, TREC-8, 1999).
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    return np.where(ranks < k, 1 / (ranks + 1), 0.0)


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k of each user: 1 / log2(rank + 2) if rank < k, else 0.

    ranks: (U,), 0 = best, ties counted half. Returns (U,) float64. The ideal list has the one
    held-out item first, so the ideal gain is 1 (Järvelin & Kekäläinen, TOIS 2002).
    """
    ranks = np.asarray(ranks, dtype=np.float64)
    return np.where(ranks < k, 1 / np.log2(ranks + 2), 0.0)


#: The five accuracy metrics of every run record, and their cut-offs.
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


def item_novelty(user_counts: np.ndarray, n_users: int) -> np.ndarray:
    """Normalised self-information -log2 p(i) / log2 |U| of each item, (n_items,) in 0..1.

    p(i) is the share of training users who interacted with i (Zhou et al., PNAS 2010; Vargas &
    Castells, RecSys 2011). The paper gives no formula but prints values below 1, so the unit is the
    information of an item that one user knows. An item that is new after training counts as known
    by one user.

    user_counts: (n_items,), how many of the `n_users` training users interacted with each item.
    """
    share = np.maximum(user_counts, 1) / n_users
    return -np.log2(share) / max(np.log2(n_users), 1.0)


def novelty(top: np.ndarray, item_novelty: np.ndarray, k: int) -> np.ndarray:
    """novelty@k of each user, (U,) float64, the mean over the first k; NaN for an empty list.

    top: (U, K) item ids, best first, 0 = none; item_novelty: (n_items,) from `item_novelty`.
    """
    listed = top[:, :k] > 0  # (U, k)
    n = listed.sum(axis=1)
    total = np.where(listed, item_novelty[top[:, :k]], 0.0).sum(axis=1)
    return total / np.where(n > 0, n, np.nan)


def mean_of_known(values: np.ndarray) -> float:
    """Mean over the users for whom the metric is defined; NaN where it is for none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
