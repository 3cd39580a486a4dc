"""Item–item relations as a linear model finds them, and what a history retrieves by them.

    X (users, n_items)   who had what
    P = (XᵀX + λI)⁻¹     B_ij = −P_ij / P_jj, B_jj = 0        EASE (Steck 2019)
    scores = (x · γ^age) B, the last item has age 0           RecencyEASE

X holds the very histories that a model trains on, so B knows the answers there: on ml-100k it
ranks training items far better than it ever ranks a held-out one, and a model that learns how much
to trust it learns to trust it too much. For training there are the same scores from relations that
never saw the user, in closed form (Sherman–Morrison):

    P₋ = P + p pᵀ / (1 − xᵀp),  p = P x,  x the user's row of X
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class ItemRelations:
    """P and B of the head of this file; the pad's row and column of B are zero."""

    inverse: torch.Tensor  # (n_items, n_items) float32, P
    weights: torch.Tensor  # (n_items, n_items) float32, B


def item_relations(
    users: np.ndarray,
    items: np.ndarray,
    times: np.ndarray,
    n_items: int,
    reg_weight: float = 200.0,
    before: float | None = None,
) -> ItemRelations:
    """Relations of items from the interactions dated before `before` (None: from all).

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
    return ItemRelations(inverse.float(), weights.float())


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


def relation_scores_at_positions(
    history: torch.Tensor, profile: torch.Tensor, inverse: torch.Tensor, decay: float
) -> torch.Tensor:
    """What each prefix of a history retrieves by relations that never saw its user.

    history: (B, L) item ids, oldest first, padded on the right; profile: (B, S), all the user's
    items that `inverse`, P, was made of, each once, in any order, 0 where there is none; with none
    at all the scores are those of `relation_scores`. Returns (B, L, n_items): at position t the
    items 0 … t are the history, item t of age 0.
    """
    position = torch.arange(history.shape[1], device=history.device)
    age = position[:, None] - position  # (L, L)
    decays = torch.where(age >= 0, float(decay) ** age.clamp(min=0), 0.0).to(inverse.dtype)
    decays = decays.expand(len(history), -1, -1)  # (B, L, L); the pad is related to nothing
    in_profile = (profile > 0).to(inverse.dtype)  # (B, S)
    p = (inverse[profile] * in_profile[..., None]).sum(1)  # (B, n_items), P x
    left = 1.0 - (p.gather(1, profile) * in_profile).sum(1)  # (B,), 1 − xᵀ P x > 0
    scores = decays @ inverse[history]  # (B, L, n_items), h P
    overlap = (decays @ p.gather(1, history)[..., None]) / left[:, None, None]  # (B, L, 1)
    scores = scores + overlap * p[:, None]  # h P₋
    diagonal = inverse.diagonal() + p.square() / left[:, None]  # (B, n_items), of P₋
    scores = -scores / diagonal[:, None]
    own = history[:, None].expand(-1, history.shape[1], -1)  # (B, L, L)
    return scores.scatter_add(2, own, decays)  # what the zero diagonal takes back
