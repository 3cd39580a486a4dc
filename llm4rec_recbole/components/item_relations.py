"""Item–item relations: EASE's weights, and the term that they add to EnhancedGenRec's scores.

X (users, n_items)   1 where a user has had an item
P = (XᵀX + λI)⁻¹     B_ij = −P_ij / P_jj, B_jj = 0        EASE (Steck, WWW 2019)
scores = (x · γ^age) B, the latest item has age 0         RecencyEASE

The paper has no such term. It reads "similar-item relations" as part of what can be retrieved.
`item_item_weights` is this project's only fit of EASE. The baselines EASE and RecencyEASE are
RecBole's class, whose inverse differs from it in the last bits.

`RelationTerm.learn` adds interactions to a fitted term, as if it had been fitted with them. For
k new pairs of a user with history x and an item i, XᵀX grows by U C Uᵀ, U = [x's; e_i's], which
changes P by −P U (C⁻¹ + Uᵀ P U)⁻¹ Uᵀ P (Woodbury): 4 k n² operations instead of n³.

The scores enter the ranking and not the training loss, as the neighbours of kNN-LM do (Khandelwal
et al., ICLR 2020). A language model trained together with them learns only what they leave over,
and the combination is then worth less than the sum of two separate models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn import functional

LARGE = 8192  # items
_ROWS_AT_ONCE = 1024  # of XᵀX: the whole sparse product is larger than the dense matrix


def matrix_rows(items: np.ndarray, n_items: int, max_items: int) -> np.ndarray:
    """Each item's row in the dense weight matrix, (n_items,) int64.

    The `max_items` most frequent of the training interactions `items` (N,) get the rows 1 …
    max_items, in order of id; of equally frequent ones those with smaller ids. The others and the
    pad get row 0.
    """
    if n_items - 1 <= max_items:
        return np.arange(n_items)
    counts = np.bincount(items, minlength=n_items)[1:]
    frequent = 1 + np.sort(np.argsort(-counts, kind="stable")[:max_items])
    rows = np.zeros(n_items, dtype=np.int64)
    rows[frequent] = np.arange(1, len(frequent) + 1)
    return rows


def item_item_weights(
    users: np.ndarray, items: np.ndarray, n_items: int, reg_weight: float = 200.0
) -> tuple[Tensor, Tensor]:
    """Fit EASE: B, (n_items, n_items) float32, with zeros for the pad; the diagonal of P.

    users, items: (N,), training interactions only. Interactions with item 0 are left out, and
    repeated pairs count once. reg_weight: λ > 0. The inverse is in float64, and in float32 above
    LARGE items, where it takes half the time and 8 n_items² bytes.
    """
    has_row = items > 0
    n_users = int(users.max(initial=0)) + 1
    ones = np.ones(has_row.sum())
    pairs = sp.csr_matrix((ones, (users[has_row], items[has_row])), (n_users, n_items))
    pairs.data[:] = 1.0
    transposed = pairs.T.tocsr()
    dense = np.empty((n_items, n_items), dtype=np.float32 if n_items > LARGE else np.float64)
    for start in range(0, n_items, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        dense[rows] = (transposed[rows] @ pairs).toarray()
    weights = torch.from_numpy(dense)
    weights.diagonal().add_(reg_weight)
    del dense  # at most two matrices of this size exist at a time
    weights = torch.linalg.cholesky(weights)
    weights = torch.cholesky_inverse(weights)
    diagonal = weights.diagonal().clone()  # (n_items,)
    weights = weights.div_(diagonal).neg_()
    weights.fill_diagonal_(0.0)
    # contiguous: otherwise each look-up of a row copies the matrix
    return weights.float().contiguous(), diagonal.float()


def learn_pairs(
    weights: Tensor,
    diagonal: Tensor,
    histories: Sequence[np.ndarray],
    items: Sequence[int],
) -> None:
    """Add k interactions to EASE's B (n, n) and the diagonal of P (n,), in place.

    histories: of each interaction, the user's earlier items; items: (k,), not in the histories.
    """
    k, n = len(items), len(weights)
    events = torch.zeros(n, 2 * k)  # U
    for event, (history, item) in enumerate(zip(histories, items)):
        events[torch.from_numpy(np.unique(history)), event] = 1.0
        events[item, k + event] = 1.0
    moved = (diagonal[:, None] * events).sub_(weights @ (diagonal[:, None] * events))  # P U
    inner = events.T @ moved  # Uᵀ P U
    inner[:k, :k] -= torch.eye(k)  # C⁻¹ = [[−I, I], [I, 0]]
    inner[:k, k:] += torch.eye(k)
    inner[k:, :k] += torch.eye(k)
    change = moved @ torch.linalg.inv(inner.double()).float()  # (n, 2k)
    weights.mul_(diagonal).addmm_(change, moved.T)  # −P, apart from the diagonal
    diagonal.sub_((change * moved).sum(1))
    weights.div_(diagonal).fill_diagonal_(0.0)


class RelationTerm(nn.Module):
    """Related items as a term of the ranking. Its weights B are no part of the state dict."""

    item_item_weights: Tensor
    matrix_index: Tensor

    def __init__(
        self,
        users: np.ndarray,
        items: np.ndarray,
        n_items: int,
        max_items: int,
        reg_weight: float,
        decay: float,
    ) -> None:
        """users, items: (N,), the training interactions. Relations are among the `max_items` most
        frequent items. reg_weight: λ; decay: γ, the weight of an item against the next one."""
        super().__init__()
        index = matrix_rows(items, n_items, max_items)
        self.register_buffer("matrix_index", torch.from_numpy(index), persistent=False)
        self.register_buffer("item_item_weights", torch.zeros(1, 1), persistent=False)
        self.pairs = users, index[items]
        self.fitted = False
        self.reg_weight, self.decay = reg_weight, decay

    @property
    def size(self) -> int:
        """M: the items with relations, and the row 0 of all others."""
        return int(self.matrix_index.max()) + 1

    def fit(self) -> None:
        """Compute the weights, unless they are there; `learn` and `forward` do so when needed."""
        if not self.fitted:
            weights, self.inverse_diagonal = item_item_weights(
                *self.pairs, self.size, self.reg_weight
            )
            self.item_item_weights = weights.to(self.matrix_index.device)
            self.fitted = True

    def learn(
        self, users: Sequence[int], histories: Sequence[np.ndarray], items: Sequence[int]
    ) -> None:
        """Add interactions to the weights: of each the user, the user's earlier items, the item.
        An item that its user has had, or that has no relations, adds nothing."""
        self.fit()
        rows = self.matrix_index.cpu().numpy()
        new = [
            (user, rows[history][rows[history] > 0], int(rows[item]))
            for user, history, item in zip(users, histories, items)
            if rows[item] and item not in history
        ]
        if not new:
            return
        own_users, own_histories, own_items = zip(*new)
        self.pairs = np.append(self.pairs[0], own_users), np.append(self.pairs[1], own_items)
        if 4 * len(new) >= len(self.item_item_weights):  # a fit takes fewer operations, less memory
            self.fitted = False
            self.fit()
            return
        weights = self.item_item_weights.cpu()  # itself on a CPU
        learn_pairs(weights, self.inverse_diagonal, own_histories, own_items)
        self.item_item_weights = weights.to(self.matrix_index.device)

    def forward(self, history: Tensor) -> Tensor:
        """Σ_s γ^age_s · B[item_s], (B, n_items), of histories (B, L), oldest first, padded on the
        right. The latest item has age 0."""
        self.fit()
        weights = self.item_item_weights  # (M, M)
        rows = self.matrix_index[history]  # (B, L), 0 for no item
        if not history.shape[1]:  # nobody has a history, which embedding_bag refuses
            return weights.new_zeros(len(history), len(self.matrix_index))
        lengths = (history > 0).sum(1, keepdim=True)  # (B, 1)
        ages = (lengths - 1 - torch.arange(history.shape[1], device=history.device)).clamp(min=0)
        shares = (self.decay ** ages.to(weights.dtype)) * (rows > 0)  # (B, L)
        scores = functional.embedding_bag(rows, weights, per_sample_weights=shares, mode="sum")
        return scores[:, self.matrix_index]
