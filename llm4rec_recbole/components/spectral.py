"""Item vectors to start from: which items stand near one another in the training histories.

    C_ij = Σ over pairs near one another 1 / distance     PPMI_ij = max(0, log C_ij ΣC / C_i C_j)
    PPMI ≈ V diag(s) Vᵀ   ─▶   vectors V diag(√s)

This is what word2vec learns, in closed form (Levy & Goldberg, NeurIPS 2014). A model that starts
from it needs fewer epochs than one that starts from noise.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp


def nearness(users: np.ndarray, items: np.ndarray, n_items: int, window: int) -> sp.csr_matrix:
    """C, (n_items, n_items) float64, symmetric. users, items: (N,), user by user, oldest first."""
    total = sp.csr_matrix((n_items, n_items))
    for distance in range(1, window + 1):
        same = users[distance:] == users[:-distance]
        first, second = items[:-distance][same], items[distance:][same]
        weights = np.full(len(first), 1 / distance)
        total += sp.csr_matrix((weights, (first, second)), shape=total.shape)
    return total + total.T


def positive_information(near: sp.csr_matrix, mass: np.ndarray) -> sp.csr_matrix:
    """PPMI, in C's own memory: 25 million ratings have 10⁸ pairs. mass: (n_items,), C_i."""
    expected = np.repeat(mass, np.diff(near.indptr))
    expected *= mass[near.indices]
    near.data *= mass.sum()
    near.data /= expected
    np.log(near.data, out=near.data)
    np.maximum(near.data, 0, out=near.data)
    near.eliminate_zeros()
    return near


def spectral_vectors(
    users: np.ndarray, items: np.ndarray, n_items: int, d: int, window: int = 5
) -> np.ndarray:
    """Vectors (n_items, d) float32 of root mean square 1 over the items that occur; zeros for
    those that never do, and in the directions that fewer than d items leave over.

    users, items: (N,), the training interactions, user by user, oldest first.
    """
    near = nearness(users, items, n_items, window)
    vectors = np.zeros((n_items, d), dtype=np.float32)
    if not near.nnz:
        return vectors
    mass = near @ np.ones(n_items)  # C_i
    ppmi = positive_information(near, mass)
    rank = min(d, n_items - 1)
    start = np.random.default_rng(0).standard_normal(n_items)  # else ARPACK draws one
    values, basis = sp.linalg.eigsh(ppmi, k=rank, which="LA", v0=start)
    vectors[:, :rank] = basis * np.sqrt(np.maximum(values, 0))
    vectors[mass == 0] = 0  # not only nearly
    occurring = vectors.any(1)
    return vectors / max(float(np.sqrt((vectors[occurring] ** 2).mean())), 1e-12)
