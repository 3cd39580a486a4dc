"""The option `item_init`: the item vectors of a model before its first step.

random     as the model draws them
spectral   from the co-occurrence of items in the training histories
text       the texts' vectors, whitened to the model's width

The spectral vectors:

    C_ij = Σ over pairs within the window of a weight that falls with their distance
    PPMI_ij = max(0, log (C_ij / ΣC) / (p_i p_j)),   p_i = C_i^a / Σ C^a,   C_i a row's sum
    PPMI ≈ V diag(s) Vᵀ   ─▶   vectors V diag(√|s|), of the largest |s|

The weight of a pair is .8^(distance − 1), and a = .75. word2vec learns the same factors by gradient
steps (Levy & Goldberg, NeurIPS 2014). A model that starts from them needs fewer epochs than one
that starts from noise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from llm4rec_recbole.components.fusion.item_content import whitened
from llm4rec_recbole.components.training_features import item_text_vectors
from llm4rec_recbole.errors import InputError


def spectral_item_vectors(config: Any, dataset: Any, d: int) -> np.ndarray:
    """Vectors (n_items, d) float32 from RecBole's training data, in time order within each user.
    Items that do not occur have zeros."""
    inter = dataset.inter_feat
    users, items = inter[dataset.uid_field].numpy(), inter[dataset.iid_field].numpy()
    order = np.argsort(users, kind="stable")
    return spectral_vectors(users[order], items[order], dataset.item_num, d)


def text_item_vectors(config: Any, dataset: Any, d: int) -> np.ndarray:
    """Vectors (n_items, d) float32 from the items' texts; zeros without a text. Raises
    InputError where no item has a text."""
    texts = item_text_vectors(config, dataset)
    if not texts.any():
        raise InputError("item_init is text, and no item has a text")
    return unit_scale(whitened(texts, d))


DECAY, POWER = 0.8, 0.75


def cooccurrence_matrix(
    users: np.ndarray, items: np.ndarray, n_items: int, window: int
) -> sp.csr_matrix:
    """C, (n_items, n_items) float64, symmetric. users, items: (N,), sorted by user, oldest first.
    window: the largest distance of two items in a history that counts."""
    total = sp.csr_matrix((n_items, n_items))
    for distance in range(1, window + 1):
        same_user = users[distance:] == users[:-distance]
        first, second = items[:-distance][same_user], items[distance:][same_user]
        weight = DECAY ** (distance - 1)
        weights = np.full(len(first), weight)
        total += sp.csr_matrix((weights, (first, second)), shape=total.shape)
    return total + total.T


def ppmi_matrix(counts: sp.csr_matrix, mass: np.ndarray, power: float = 1.0) -> sp.csr_matrix:
    """Positive pointwise mutual information of `counts` (C), computed in place: 25 million ratings
    have 10⁸ pairs. mass: (n_items,), C_i, the sums of C's rows. power: a, by which the shares of
    rare items are raised (Levy et al., TACL 2015, section 3.1)."""
    factor = mass.sum()
    if power != 1:
        total, mass = factor, mass**power
        factor = mass.sum() ** 2 / total
    expected = np.repeat(mass, np.diff(counts.indptr))
    expected *= mass[counts.indices]
    counts.data *= factor
    counts.data /= expected
    np.log(counts.data, out=counts.data)
    np.maximum(counts.data, 0, out=counts.data)
    counts.eliminate_zeros()
    return counts


def spectral_vectors(
    users: np.ndarray, items: np.ndarray, n_items: int, d: int, window: int = 5
) -> np.ndarray:
    """First vectors, (n_items, d) float32; root mean square 1 over the items that occur.

    Items that do not occur get zeros. With fewer than d items, the surplus columns are zeros.
    users, items: (N,), the training interactions, sorted by user, oldest first.
    """
    counts = cooccurrence_matrix(users, items, n_items, window)
    vectors = np.zeros((n_items, d), dtype=np.float32)
    mass = counts @ np.ones(n_items)  # C_i
    ppmi = ppmi_matrix(counts, mass, POWER) if counts.nnz else counts
    if not ppmi.nnz:
        return vectors
    rank = min(d, n_items)
    values, basis = largest_factors(ppmi.astype(np.float32), rank)
    vectors[:, :rank] = basis * np.sqrt(values)
    vectors[mass == 0] = 0
    return unit_scale(vectors)


def largest_factors(
    matrix: sp.csr_matrix, rank: int, iterations: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """The largest singular values (rank,) of a symmetric matrix and their vectors (n, rank), by
    subspace iteration from a fixed random start (Halko et al., SIAM Review 2011, algorithm 4.4)."""
    n = matrix.shape[0]
    random = np.random.default_rng(0)
    basis = random.standard_normal((n, min(n, rank + 16)), dtype=np.float32)
    for _ in range(iterations):
        basis, _ = np.linalg.qr(matrix @ (matrix @ basis))
    left, values, _ = np.linalg.svd((matrix @ basis).T, full_matrices=False)
    return values[:rank], (basis @ left)[:, :rank]


def unit_scale(vectors: np.ndarray) -> np.ndarray:
    """`vectors` (n, d) divided by the root mean square of the rows that are not zero."""
    occurs = vectors.any(1)
    return vectors / max(float(np.sqrt((vectors[occurs] ** 2).mean())), 1e-12)
