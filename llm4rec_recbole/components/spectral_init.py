"""Initial item vectors from which items stand close together in the training histories.

    C_ij = Σ over pairs within the window 1 / distance    PPMI_ij = max(0, log C_ij ΣC / C_i C_j)
    PPMI ≈ V diag(s) Vᵀ   ─▶   vectors V diag(√s)

word2vec learns the same factors by gradient steps (Levy & Goldberg, NeurIPS 2014). A model that
starts from them needs fewer epochs than one that starts from noise.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def cooccurrence_matrix(
    users: np.ndarray, items: np.ndarray, n_items: int, window: int
) -> sp.csr_matrix:
    """C, (n_items, n_items) float64, symmetric. users, items: (N,), sorted by user, oldest first.

    window: the largest distance of two items in a history that counts.
    """
    total = sp.csr_matrix((n_items, n_items))
    for distance in range(1, window + 1):
        same_user = users[distance:] == users[:-distance]
        first, second = items[:-distance][same_user], items[distance:][same_user]
        weights = np.full(len(first), 1 / distance)
        total += sp.csr_matrix((weights, (first, second)), shape=total.shape)
    return total + total.T


def ppmi_matrix(counts: sp.csr_matrix, mass: np.ndarray) -> sp.csr_matrix:
    """Positive pointwise mutual information of `counts` (C), computed in place.

    In place, since 25 million ratings have 10⁸ pairs. mass: (n_items,), C_i, the sums of C's rows.
    """
    expected = np.repeat(mass, np.diff(counts.indptr))
    expected *= mass[counts.indices]
    counts.data *= mass.sum()
    counts.data /= expected
    np.log(counts.data, out=counts.data)
    np.maximum(counts.data, 0, out=counts.data)
    counts.eliminate_zeros()
    return counts


def init_vectors(
    users: np.ndarray, items: np.ndarray, n_items: int, d: int, window: int = 5
) -> np.ndarray:
    """Vectors (n_items, d) float32; those of the items that occur have root mean square 1.

    Items that do not occur get zeros. With fewer than d items, the surplus columns are zeros.
    users, items: (N,), the training interactions, sorted by user, oldest first.
    """
    counts = cooccurrence_matrix(users, items, n_items, window)
    vectors = np.zeros((n_items, d), dtype=np.float32)
    if not counts.nnz:
        return vectors
    mass = counts @ np.ones(n_items)  # C_i
    ppmi = ppmi_matrix(counts, mass)
    if not ppmi.nnz:  # no pair occurs more often than by chance
        return vectors
    rank = min(d, n_items - 1)
    start = np.random.default_rng(0).standard_normal(n_items)  # otherwise ARPACK draws one
    values, basis = sp.linalg.eigsh(ppmi, k=rank, which="LA", v0=start)
    vectors[:, :rank] = basis * np.sqrt(np.maximum(values, 0))
    vectors[mass == 0] = 0  # they are only close to 0 otherwise
    occurs = vectors.any(1)
    return vectors / max(float(np.sqrt((vectors[occurs] ** 2).mean())), 1e-12)
