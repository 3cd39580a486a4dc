"""Item–item relations, a linear model of order: the term that they add to the ranking.

X (users, n_items)   1 where a user has had an item
S (N, n_items)       before each training interaction: the user's earlier items, each γ^age
T (N, n_items)       1 at the item of the interaction
B                    minimises |X − XB|² + β |T − SB|² + λ |B|², with zeros on the diagonal
scores               (x · γ^age) B, the latest item has age 0

This is SLIST (Choi et al., WWW 2021) with the next item alone as T. With β = 0 it is EASE (Steck,
WWW 2019), and its scores are those of RecencyEASE. The solution, with P and Q in between:

A = XᵀX + β SᵀS     C = XᵀX + β SᵀT     P = (A + λI)⁻¹     Q = P C     B = Q − P diag(Q_jj / P_jj)

Of two positions a ≤ b of a history with n interactions, d = b − a apart, SᵀS sums γ^d γ^(2m) over
m = 0 … n − 2 − b, and SᵀT has γ^(d − 1). So neither S nor T is made.

The paper has no such term. It reads "similar-item relations" as part of what can be retrieved.
The baselines EASE and RecencyEASE are RecBole's class, whose inverse differs in the last bits.

`RelationTerm.learn` adds interactions to a fitted term, as if it had been fitted with them. For
k new pairs of a history with binary items x, decayed items s, and an item i, A grows by U K Uᵀ,
U = [x's; e_i's; √β s's]. So P changes by −W M Wᵀ, W = P U, M = (K⁻¹ + Uᵀ W)⁻¹ (Woodbury), and Q
follows: a number of operations proportional to k n² instead of n³.

The scores enter the ranking and not the training loss, as the neighbours of kNN-LM do (Khandelwal
et al., ICLR 2020). A language model trained together with them learns only what they leave over,
and the combination is then worth less than the sum of two separate models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn import functional

LARGE = 8192  # items
_ROWS_AT_ONCE = 1024  # of a sparse product: the whole one is larger than the dense matrix
_PAIRS_AT_ONCE = 10_000_000  # of positions, before they are added up


def matrix_rows(items: np.ndarray, n_items: int, max_items: int) -> np.ndarray:
    """Each item's row in the dense weight matrix, (n_items,) int64.

    The `max_items` most frequent of the training interactions `items` (N,) get the rows 1 …
    max_items, in order of id; of equally frequent items, smaller ids win. Other items and the pad
    get row 0.
    """
    if n_items - 1 <= max_items:
        return np.arange(n_items)
    counts = np.bincount(items, minlength=n_items)[1:]
    frequent = 1 + np.sort(np.argsort(-counts, kind="stable")[:max_items])
    rows = np.zeros(n_items, dtype=np.int64)
    rows[frequent] = np.arange(1, len(frequent) + 1)
    return rows


@dataclass
class Relations:
    """The fitted matrices; row and column 0 are the pad's."""

    weights: Tensor  # B, (n, n) float32
    inverse: Tensor  # P, (n, n) float32, on the CPU
    multipliers: Tensor  # Q_jj / P_jj, (n,) float32, on the CPU


def fit_relations(
    users: np.ndarray,
    items: np.ndarray,
    n_items: int,
    reg_weight: float,
    decay: float = 1.0,
    next_weight: float = 0.0,
) -> Relations:
    """Fit B, see above.

    users, items: (N,), training interactions, each user's from old to new. Item 0 is a position and
    no item: its row of T is 0. Repeated pairs count once in X. reg_weight: λ > 0; decay: γ;
    next_weight: β. The inverse is in float64, and in float32 above LARGE items, where it takes half
    the time.
    """
    has_row = items > 0
    n_users = int(users.max(initial=0)) + 1
    ones = np.ones(has_row.sum())
    pairs = sp.csr_matrix((ones, (users[has_row], items[has_row])), (n_users, n_items))
    pairs.data[:] = 1.0
    transposed = pairs.T.tocsr()
    past = following = sp.csr_matrix((n_items, n_items))  # β SᵀS, β SᵀT
    if next_weight:
        past, following = (next_weight * m for m in order_moments(users, items, n_items, decay))
    kind = np.float32 if n_items > LARGE else np.float64
    dense = np.empty((n_items, n_items), dtype=kind)
    for start in range(0, n_items, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        dense[rows] = (transposed[rows] @ pairs + past[rows]).toarray()
    inverse = torch.from_numpy(dense)  # A
    inverse.diagonal().add_(reg_weight)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(inverse))  # P
    weights = inverse * -reg_weight  # Q = I − λP + P (C − A)
    weights.diagonal().add_(1.0)
    if next_weight:
        _add_product(weights, inverse, following - past)
    multipliers = weights.diagonal() / inverse.diagonal()
    weights.addcmul_(inverse, multipliers, value=-1.0).fill_diagonal_(0.0)
    weights[0] = weights[:, 0] = 0.0
    # contiguous: otherwise each look-up of a row copies the matrix
    return Relations(weights.float().contiguous(), inverse.float(), multipliers.float())


def order_moments(
    users: np.ndarray, items: np.ndarray, n_items: int, decay: float
) -> tuple[sp.csr_matrix, sp.csr_matrix]:
    """SᵀS and SᵀT, (n_items, n_items) each. Distances d with γ^d below 10⁻⁶ are left out."""
    order = np.argsort(users, kind="stable")
    owners, sequence = users[order], items[order]
    _, first, lengths = np.unique(owners, return_index=True, return_counts=True)
    position = np.arange(len(owners)) - np.repeat(first, lengths)
    later = np.repeat(lengths, lengths) - 1 - position  # interactions of the user that follow
    powers = np.cumsum(np.append(0.0, decay ** (2.0 * np.arange(later.max(initial=0)))))
    longest = int(lengths.max(initial=1)) - 1
    if decay < 1:
        longest = min(longest, int(np.log(1e-6) / np.log(decay)))
    past, following = (_PairSums(n_items) for _ in range(2))
    for distance in range(longest + 1):
        new = position[distance:] >= distance  # of the later item
        early, late = sequence[: len(sequence) - distance][new], sequence[distance:][new]
        value = decay**distance * powers[later[distance:][new]]
        past.add(early, late, value)
        if distance:
            past.add(late, early, value)
            following.add(early, late, np.full(len(early), decay ** (distance - 1)))
    return past.total(), following.total()


class _PairSums:
    """Sums of values at pairs of items, (n_items, n_items). Pairs with item 0 do not count."""

    def __init__(self, n_items: int) -> None:
        self.sums = sp.csr_matrix((n_items, n_items))
        self.waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, rows: np.ndarray, columns: np.ndarray, values: np.ndarray) -> None:
        counts = (rows > 0) & (columns > 0) & (values > 0)
        self.waiting.append((rows[counts], columns[counts], values[counts]))
        if sum(len(values) for _, _, values in self.waiting) > _PAIRS_AT_ONCE:
            self.total()

    def total(self) -> sp.csr_matrix:
        if self.waiting:
            rows, columns, values = (np.concatenate(parts) for parts in zip(*self.waiting))
            self.sums = self.sums + sp.csr_matrix((values, (rows, columns)), self.sums.shape)
            self.waiting.clear()
        return self.sums


def _add_product(weights: Tensor, inverse: Tensor, change: sp.csr_matrix) -> None:
    """Add P D to `weights`, in place. P is symmetric, so the rows r of P D are (Dᵀ P[:, r])ᵀ."""
    if change.nnz > change.shape[0] ** 2 / 20:  # a dense product is faster
        weights.addmm_(inverse, torch.from_numpy(change.toarray()).to(inverse.dtype))
        return
    transposed = change.T.tocsr().astype(inverse.numpy().dtype)
    for start in range(0, len(weights), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        weights[rows] += torch.from_numpy(transposed @ inverse[:, rows].numpy()).T


def learn_pairs(
    relations: Relations,
    histories: Sequence[np.ndarray],
    items: np.ndarray,
    decay: float = 1.0,
    next_weight: float = 0.0,
) -> None:
    """Add k interactions to the fitted matrices, in place.

    histories: of each interaction, the user's earlier items, oldest first, 0 for an item without
    relations; items: (k,), 0 likewise. decay, next_weight: as of the fit.
    """
    k, n = len(items), len(relations.weights)
    target = torch.zeros(n, k)  # e_i's
    before, new, past = events = torch.zeros(3, n, k)  # x's, e_i's of new items, √β s's
    for event, (history, item) in enumerate(zip(histories, items)):
        rows = torch.from_numpy(history)
        ages = torch.arange(len(rows) - 1, -1, -1, dtype=torch.float32)
        target[item, event] = 1.0
        if item and item not in history:  # X has a repeated pair already
            before[rows, event], new[item, event] = 1.0, 1.0
        past[:, event].index_add_(0, rows, next_weight**0.5 * decay**ages)
    events[:, 0] = target[0] = 0.0
    together = events.permute(1, 0, 2).reshape(n, 3 * k)  # U
    one, zero = torch.eye(k), torch.zeros(k, k)
    blocks = [(-one, one, zero), (one, zero, zero), (zero, zero, one)]
    core = torch.cat([torch.cat(row, 1) for row in blocks])  # K⁻¹
    weights, inverse, multipliers = relations.weights, relations.inverse, relations.multipliers
    moved = inverse @ together  # W
    middle = torch.linalg.inv((core + together.T @ moved).double()).float()  # M
    projected = together.T @ weights + moved.T * multipliers  # Uᵀ Q
    after = moved @ (middle @ core)  # P U with the new P
    of_before, of_new, of_past = after.split(k, 1)
    weights.addcmul_(inverse, multipliers)  # Q
    weights.addmm_(moved @ middle, projected, alpha=-1.0)
    weights.addmm_(of_before + of_new, new.T)
    weights.addmm_(of_new, before.T)
    weights.addmm_(of_past, target.T, alpha=next_weight**0.5)
    inverse.addmm_(moved @ middle, moved.T, alpha=-1.0)
    multipliers.copy_(weights.diagonal() / inverse.diagonal())
    weights.addcmul_(inverse, multipliers, value=-1.0).fill_diagonal_(0.0)


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
        next_weight: float = 0.0,
    ) -> None:
        """users, items: (N,), the training interactions, each user's from old to new. Relations are
        among the `max_items` most frequent items. reg_weight: λ; decay: γ, the weight of an item
        against the next one; next_weight: β."""
        super().__init__()
        index = matrix_rows(items, n_items, max_items)
        self.register_buffer("matrix_index", torch.from_numpy(index), persistent=False)
        self.register_buffer("item_item_weights", torch.zeros(1, 1), persistent=False)
        self.pairs = users, index[items]
        self.matrices: Relations | None = None
        self.reg_weight, self.decay, self.next_weight = reg_weight, decay, next_weight

    @property
    def size(self) -> int:
        """M: the items with relations, and the row 0 of all others."""
        return int(self.matrix_index.max()) + 1

    def fit(self) -> None:
        """Compute the weights, unless they are there; `learn` and `forward` do so when needed."""
        if self.matrices is None:
            self.matrices = fit_relations(
                *self.pairs, self.size, self.reg_weight, self.decay, self.next_weight
            )
            self.item_item_weights = self.matrices.weights.to(self.matrix_index.device)

    def learn(
        self, users: Sequence[int], histories: Sequence[np.ndarray], items: Sequence[int]
    ) -> None:
        """Add interactions to the weights: of each the user, the user's earlier items, the item.
        An item without relations counts as a position of later histories."""
        self.fit()
        rows = self.matrix_index.cpu().numpy()
        known, new = [rows[history] for history in histories], rows[np.asarray(items)]
        self.pairs = np.append(self.pairs[0], users), np.append(self.pairs[1], new)
        if 9 * len(new) >= self.size:  # a fit takes fewer operations, less memory
            self.matrices = None
            self.fit()
            return
        assert self.matrices is not None
        learn_pairs(self.matrices, known, new, self.decay, self.next_weight)
        self.item_item_weights = self.matrices.weights.to(self.matrix_index.device)

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
