"""The content of items as tensors for the fusion: text, categories, numbers.

Row 0 is the pad, which has no content. The scale of the numbers, and the counts and mean ratings
among them, come from training interactions only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TEXT_WIDTH = 128  # of whitened text vectors: the directions beyond carry little but noise


@dataclass(frozen=True, eq=False)
class ItemContent:
    """The modalities of all items. An item may lack any of them; a data set may too (size 0).

    `categories` lists the numbers of each item's categories instead of a multi-hot row: with 1,000
    categories in all and 5 for each item, only the lists fit into memory.
    """

    text: Tensor  # (n_items, d_text) float32, zeros where there is no text
    categories: Tensor  # (n_items, C) int64, numbered from 1, 0 on the right
    numbers: Tensor  # (n_items, N) float32, standardised, 0 where unknown
    is_number: Tensor  # (n_items, N) bool, False where unknown


def item_content(
    text: np.ndarray, categories: np.ndarray, numbers: np.ndarray, trained: np.ndarray
) -> ItemContent:
    """Build the tensors. text: (n_items, d_text), zeros for none; categories: (n_items, C)
    multi-hot; numbers: (n_items, N), NaN for unknown; trained: (n_items,) bool, the items that give
    mean and deviation."""
    standard = standardise(numbers, trained)
    return ItemContent(
        text=torch.as_tensor(text, dtype=torch.float32),
        categories=torch.from_numpy(category_lists(categories)),
        numbers=torch.from_numpy(np.nan_to_num(standard, nan=0.0).astype(np.float32)),
        is_number=torch.from_numpy(~np.isnan(standard)),
    )


def category_lists(hot: np.ndarray) -> np.ndarray:
    """Each item's categories by number, from 1, (n_items, most) int64, 0 on the right. hot:
    (n_items, C) multi-hot."""
    counts = hot.sum(1)
    ids = np.zeros((len(hot), int(counts.max(initial=0))), dtype=np.int64)
    rows, columns = np.nonzero(hot)
    ids[rows, np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)] = columns + 1
    return ids


def standardise(numbers: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """`numbers` (n_items, N) with mean 0 and deviation 1 over the `trained` items (n_items,),
    clipped at ±10.

    NaN stays NaN. A column without any trained item is NaN everywhere. A constant column is centred
    only.
    """
    usable = trained[:, None] & ~np.isnan(numbers)
    count = usable.sum(0)  # (N,)
    values = np.where(usable, numbers, 0.0)
    mean = values.sum(0) / np.maximum(count, 1)
    deviation = np.sqrt((np.where(usable, numbers - mean, 0.0) ** 2).sum(0) / np.maximum(count, 1))
    scaled = (numbers - mean) / np.where(deviation > 0, deviation, 1.0)
    return np.where(count > 0, np.clip(scaled, -10, 10), np.nan)


def item_mean_ratings(
    items: np.ndarray, ratings: np.ndarray, n_items: int, prior: float = 5.0
) -> np.ndarray:
    """Each item's mean rating in training, (n_items,), NaN for an item without ratings. items,
    ratings: (N,).

    Each mean is shrunk towards the mean of all ratings, as if the item had `prior` more ratings of
    that value. So one high rating does not make an item the best of all.
    """
    counts = np.bincount(items, minlength=n_items)
    sums = np.bincount(items, weights=ratings, minlength=n_items)
    mean = ratings.mean() if len(ratings) else np.nan
    return np.where(counts > 0, (sums + prior * mean) / (counts + prior), np.nan)


def whitened(texts: np.ndarray, d: int) -> np.ndarray:
    """`texts` (n, width) centred and projected to d uncorrelated columns of mean square 1, (n, d).
    Columns beyond the texts' rank are zeros. Rows of zeros have no text, stay zero and do not
    count."""
    has_text = texts.any(1)
    centred = texts[has_text] - texts[has_text].mean(0)
    basis, values, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    rank = min(d, int((values > 1e-6 * values[0]).sum()))
    vectors = np.zeros((len(texts), d), dtype=np.float32)
    vectors[has_text, :rank] = basis[:, :rank]
    return vectors * np.float32(np.sqrt(max(1, has_text.sum())))
