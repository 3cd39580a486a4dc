"""The option `item_init`: the item vectors of a model before its first step.

random     as the model draws them
spectral   from the co-occurrence of items in the training histories (spectral_init.py)
text       the texts' vectors, whitened to the model's width
"""

from __future__ import annotations

from typing import Any

import numpy as np

from llm4rec_recbole.components.spectral_init import spectral_vectors, unit_scale
from llm4rec_recbole.components.training_features import item_text_vectors
from llm4rec_recbole.errors import InputError


def spectral_item_vectors(config: Any, dataset: Any, d: int) -> np.ndarray:
    """Vectors (n_items, d) float32 from RecBole's training data, in time order within each user.

    Items that do not occur have zeros.
    """
    inter = dataset.inter_feat
    users, items = inter[dataset.uid_field].numpy(), inter[dataset.iid_field].numpy()
    order = np.argsort(users, kind="stable")
    return spectral_vectors(users[order], items[order], dataset.item_num, d)


def text_item_vectors(config: Any, dataset: Any, d: int) -> np.ndarray:
    """Vectors (n_items, d) float32 from the items' texts; zeros without a text.

    Raises InputError where no item has a text.
    """
    texts = item_text_vectors(config, dataset)
    if not texts.any():
        raise InputError("item_init is text, and no item has a text")
    return whitened(texts, d)


def whitened(texts: np.ndarray, d: int) -> np.ndarray:
    """`texts` (n, width) centred and projected to d uncorrelated columns of equal variance, (n, d).

    Rows of zeros have no text and stay zero; they do not count. Columns beyond the texts' rank are
    zeros. The root mean square is 1.
    """
    has_text = texts.any(1)
    centred = texts[has_text] - texts[has_text].mean(0)
    left, values, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    rank = min(d, int((values > 1e-6 * values[0]).sum()))
    vectors = np.zeros((len(texts), d), dtype=np.float32)
    vectors[has_text, :rank] = left[:, :rank]
    return unit_scale(vectors)
