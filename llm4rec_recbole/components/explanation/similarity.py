"""Which items of the user's own history an item is like: Eqs. (21) and (22)."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from llm4rec_recbole.components.retrieval import cosine_similarity, top_k


def item_similarity(items: np.ndarray, history: np.ndarray) -> np.ndarray:
    """Eq. (21): cos(e_i, e_j) of items' embeddings (I, d) and a history's (S, d), (I, S); 0 where
    either is zero."""
    return cosine_similarity(items, history)


def most_similar(similarity: np.ndarray, k: int) -> np.ndarray:
    """Eq. (22): the places of the k items of the history that are most similar, most similar first.

    similarity: (S,), oldest first; of equals the later comes first. Only what is similar at all
    counts: fewer than k where fewer are above 0.
    """
    latest_first = similarity[::-1]
    places = len(similarity) - 1 - top_k(latest_first, k)
    return places[similarity[places] > 0]


def interaction_vectors(
    users: np.ndarray, items: np.ndarray, n_items: int, d: int = 64
) -> np.ndarray:
    """Item embeddings (n_items, d) for a model that has none: who had an item, in d dimensions.

    users, items: (N,), the training interactions. PureSVD (Cremonesi et al., RecSys 2010): the
    interaction matrix's right singular vectors times its singular values, so that their cosines
    come close to those of the columns. With fewer than d users or items these are not reduced.
    """
    pairs = sp.csr_matrix(
        (np.ones(len(items)), (users, items)), (int(users.max(initial=0)) + 1, n_items)
    )
    pairs.data[:] = 1.0  # once, however often
    if min(pairs.shape) <= d:
        return pairs.T.toarray().astype(np.float32)
    start = np.random.default_rng(0).normal(size=min(pairs.shape))
    _, sizes, directions = sp.linalg.svds(pairs, k=d, v0=start)
    return (directions.T * sizes).astype(np.float32)
