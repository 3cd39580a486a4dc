"""Item–item relations as a linear model finds them, and what a history retrieves by them.

X (users, n_items)   who had what
P = (XᵀX + λI)⁻¹     B_ij = −P_ij / P_jj, B_jj = 0        EASE (Steck 2019)
scores = (x · γ^age) B, the last item has age 0           RecencyEASE
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch

from llm4rec_recbole.errors import InputError

MOST_ITEMS = 30_000  # P is dense: 3.6 GB of float32 at this size


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


def item_relations(
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray,
    n_items: int,
    reg_weight: float = 200.0,
    before: float | None = None,
) -> torch.Tensor:
    """B, (n_items, n_items) float32, with zeros for the pad, from the interactions dated before
    `before` (None: from all).

    users, items, times: (N,), the training interactions alone, ids from 1; repeats count once.
    reg_weight: λ > 0. Raises InputError when the catalogue is too large for a dense matrix.
    """
    if n_items > MOST_ITEMS:
        raise InputError(
            f"relations of {n_items} items need a dense matrix of {4e-9 * n_items**2:.0f} GB",
            hint=f"at most {MOST_ITEMS} items; filter the data set, or leave the relations out",
        )
    known = np.ones(len(items), dtype=bool) if before is None else times < before
    n_users = int(users.max(initial=0)) + 1
    pairs = sp.csr_matrix((np.ones(known.sum()), (users[known], items[known])), (n_users, n_items))
    pairs.data[:] = 1.0  # once, however often
    gram = torch.from_numpy((pairs.T @ pairs).toarray())  # (n_items, n_items)
    gram.diagonal().add_(reg_weight)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
    weights = -inverse / inverse.diagonal()
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
