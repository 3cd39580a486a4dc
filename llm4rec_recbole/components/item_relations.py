"""Item–item relations as a linear model finds them, and what a history retrieves by them.

X (users, n_items)   who had what
P = (XᵀX + λI)⁻¹     B_ij = −P_ij / P_jj, B_jj = 0        EASE (Steck 2019)
scores = (x · γ^age) B, the last item has age 0           RecencyEASE
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

_TOGETHER = 1024  # rows of XᵀX that are counted at once: sparse, all of them are larger than dense


def decayed_histories(
    items: np.ndarray, indptr: np.ndarray, n_items: int, decay: float = 1.0
) -> sp.csr_matrix:
    """The histories as rows (B, n_items) float32, an item of age a (0 = the latest) weighing
    decay^a. Row b's items are items[indptr[b]:indptr[b + 1]], oldest first."""
    lengths = np.diff(indptr)  # (B,)
    within = np.arange(len(items)) - np.repeat(indptr[:-1], lengths)
    age = np.repeat(lengths, lengths) - 1 - within
    weights = np.float32(decay) ** age.astype(np.float32)
    return sp.csr_matrix((weights, items, indptr), shape=(len(lengths), n_items))


def related_places(items: np.ndarray, n_items: int, most: int) -> np.ndarray:
    """Which items take part in relations, which are a dense matrix: the `most` that the training
    interactions `items` (N,) hold most often, of equals those of the smaller id.

    (n_items,) int64: an item's row in the matrix, 1 … `most` in order of id, 0 for one that takes
    no part and for the pad.
    """
    if n_items - 1 <= most:
        return np.arange(n_items)
    counts = np.bincount(items, minlength=n_items)[1:]
    kept = 1 + np.sort(np.argsort(-counts, kind="stable")[:most])
    places = np.zeros(n_items, dtype=np.int64)
    places[kept] = np.arange(1, len(kept) + 1)
    return places


def item_relations(
    users: np.ndarray, items: np.ndarray, n_items: int, reg_weight: float = 200.0
) -> torch.Tensor:
    """B, (n_items, n_items) float32, with zeros for the pad.

    users, items: (N,), the training interactions alone; those of item 0 are left out, repeats
    count once. reg_weight: λ > 0. Takes 16 n_items² bytes on the way.
    """
    known = items > 0
    n_users = int(users.max(initial=0)) + 1
    pairs = sp.csr_matrix((np.ones(known.sum()), (users[known], items[known])), (n_users, n_items))
    pairs.data[:] = 1.0  # once, however often
    transposed = pairs.T.tocsr()
    dense = np.empty((n_items, n_items))
    for start in range(0, n_items, _TOGETHER):
        rows = slice(start, start + _TOGETHER)
        (transposed[rows] @ pairs).toarray(out=dense[rows])
    weights = torch.from_numpy(dense)
    weights.diagonal().add_(reg_weight)
    del dense  # of this matrix, two at most are kept at a time
    weights = torch.linalg.cholesky(weights)
    weights = torch.cholesky_inverse(weights)
    weights = weights.div_(weights.diagonal().clone()).neg_()
    weights.fill_diagonal_(0.0)
    return weights.float().contiguous()  # else each lookup of a row copies all of it


def relation_scores(
    history: torch.Tensor, ages: torch.Tensor, weights: torch.Tensor, decay: float
) -> torch.Tensor:
    """What each history retrieves: Σ_s decay^age_s · B[item_s], (B, n_items).

    history: (B, S) item ids, 0 where there is none; ages: (B, S) ≥ 0, of any unit; weights: B,
    (n_items, n_items).
    """
    shares = (decay ** ages.to(weights.dtype)) * (history > 0)  # (B, S)
    return torch.nn.functional.embedding_bag(
        history, weights, per_sample_weights=shares, mode="sum"
    )
