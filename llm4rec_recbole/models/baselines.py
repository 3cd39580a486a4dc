"""The item–item baselines that differ from RecBole's.

RecBole's ItemKNN and EASE score a user from the training interactions. Under `loo` the sequence
models also see the validation item when they are tested. The models here see the same history.

    ItemKNN      x W          W = cosine similarities, k nearest       (Sarwar et al. 2001)
    EASE         x B          B = closed-form ridge, zero diagonal     (Steck 2019)
    RecencyEASE  (x · γ^age) B    the last item has age 0, the one before age 1, …
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from recbole.model.general_recommender.ease import EASE as RecBoleEASE
from recbole.model.general_recommender.itemknn import ItemKNN as RecBoleItemKNN

from llm4rec_recbole.components.item_relations import decayed_histories
from llm4rec_recbole.data.held_out import HeldOut


def history_matrix(held_out: HeldOut, rows: np.ndarray, decay: float = 1.0) -> sp.csr_matrix:
    """The histories of `rows`, (B, n_items), items weighted by decay^age; the latest has age 0."""
    starts, lengths = held_out.indptr[rows], np.diff(held_out.indptr)[rows]  # (B,)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    items = held_out.items[np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], lengths)]
    return decayed_histories(items, indptr, held_out.n_items, decay)


class ItemKNN(RecBoleItemKNN):
    """RecBole's ItemKNN; `w` are its similarities, (n_items, n_items) sparse."""

    def score_histories(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) float32."""
        return (history_matrix(held_out, rows) @ self.w).toarray()


class EASE(RecBoleEASE):
    """RecBole's EASE; `item_similarity` is B, (n_items, n_items) dense."""

    decay = 1.0

    def score_histories(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) float32."""
        return np.asarray(history_matrix(held_out, rows, self.decay) @ self.item_similarity)


class RecencyEASE(EASE):
    """EASE whose scores weight a history's items by decay^age; B is that of EASE.

    Its published relatives are SLIST (Choi et al., WWW 2021) and TALE (Park et al., WSDM 2025).
    Option `decay` in (0, 1] is γ.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.decay = float(config["decay"])
