"""What is known of each item, as tensors that the fusion reads: text, categories, numbers.

Row 0 is the pad, of which nothing is known. What the numbers are scaled by, and what they count,
comes from training interactions alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch


@dataclass(frozen=True, eq=False)
class ItemContent:
    """The modalities of all items; an item may lack any of them, a data set too (size 0).

    `categories` lists each item's categories, numbered from 1: the multi-hot row without its
    zeros. With 1,000 categories in all and 5 an item, that is what fits into memory.
    """

    text: torch.Tensor  # (n_items, d_text) float32, zeros where there is no text
    categories: torch.Tensor  # (n_items, C) int64, 0 on the right
    numbers: torch.Tensor  # (n_items, N) float32, standardised, 0 where unknown
    known_numbers: torch.Tensor  # (n_items, N) bool

    @property
    def has_any(self) -> bool:
        """Whether anything is known of any item."""
        return any(bool(t.any()) for t in (self.text, self.categories, self.known_numbers))


def item_content(
    text: np.ndarray, categories: np.ndarray, numbers: np.ndarray, trained: np.ndarray
) -> ItemContent:
    """Lay out the items' content; row i of every array is item i, row 0 the pad.

    text: (n_items, d_text), zeros for none; categories: (n_items, C) multi-hot; numbers:
    (n_items, N), NaN for unknown; trained: (n_items,) bool, whose numbers give mean and deviation.
    """
    standard = standardise(numbers, trained)
    return ItemContent(
        text=torch.as_tensor(text, dtype=torch.float32),
        categories=torch.from_numpy(listed(categories)),
        numbers=torch.from_numpy(np.nan_to_num(standard, nan=0.0).astype(np.float32)),
        known_numbers=torch.from_numpy(~np.isnan(standard)),
    )


def multi_hot(categories: Sequence[Sequence[str]]) -> tuple[np.ndarray, list[str]]:
    """(n_items, C) bool and the C names in alphabetical order, from each item's names."""
    names = sorted({name for row in categories for name in row})
    column = {name: number for number, name in enumerate(names)}
    hot = np.zeros((len(categories), len(names)), dtype=bool)
    for item, row in enumerate(categories):
        hot[item, [column[name] for name in row]] = True
    return hot, names


def listed(hot: np.ndarray) -> np.ndarray:
    """The numbers, from 1, of the columns set in each row of `hot`, (n_items, most) int64, 0 on
    the right."""
    counts = hot.sum(1)
    ids = np.zeros((len(hot), int(counts.max(initial=0))), dtype=np.int64)
    rows, columns = np.nonzero(hot)
    ids[rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)] = columns + 1
    return ids


def standardise(numbers: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """`numbers` (n_items, N) less their mean over `trained` items (n_items,), over their deviation.

    NaN stays NaN. A number that no trained item has is NaN everywhere: nothing tells its scale. One
    that is the same for all trained items is only centred. Values end at ±10: an item unlike any
    seen in training must not swamp the rest.
    """
    known = trained[:, None] & ~np.isnan(numbers)
    count = known.sum(0)  # (N,)
    held = np.where(known, numbers, 0.0)
    mean = held.sum(0) / np.maximum(count, 1)
    deviation = np.sqrt((np.where(known, numbers - mean, 0.0) ** 2).sum(0) / np.maximum(count, 1))
    scaled = (numbers - mean) / np.where(deviation > 0, deviation, 1.0)
    return np.where(count > 0, np.clip(scaled, -10, 10), np.nan)


def mean_ratings(
    items: np.ndarray, ratings: np.ndarray, n_items: int, prior: float = 5.0
) -> np.ndarray:
    """Each item's mean rating in training, (n_items,), NaN where it has none.

    items, ratings: (N,), the training interactions. Drawn towards the mean of all ratings as if
    `prior` more had been given, so that one rating does not make an item the best of all.
    """
    counts = np.bincount(items, minlength=n_items)
    sums = np.bincount(items, weights=ratings, minlength=n_items)
    mean = ratings.mean() if len(ratings) else np.nan
    return np.where(counts > 0, (sums + prior * mean) / (counts + prior), np.nan)


# Item vectors to start from: which items stand near one another in the training histories.
#
#     C_ij = Σ over pairs near one another 1 / distance     PPMI_ij = max(0, log C_ij ΣC / C_i C_j)
#     PPMI ≈ V diag(s) Vᵀ   ─▶   vectors V diag(√s)
#
# This is what word2vec learns, in closed form (Levy & Goldberg, NeurIPS 2014). A model that starts
# from it needs fewer epochs than one that starts from noise.


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
