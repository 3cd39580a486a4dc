"""Item ids that a language model reads and writes: each item is a short code of id tokens.

    sequential     items numbered in the order in which users' training histories first name them
                   (P5, Geng et al., RecSys 2022), in base 100:  1234 → 12 34
    random         numbered at random, written in the same way
    collaborative  the item's path down a tree of spectral clusters of the co-occurrence graph
                   (Hua et al., SIGIR-AP 2023; OpenP5), then the item's own token: 3 17 208

P5's published sequential ids number whole histories, so a test item's number shows that it follows
the item before. Here ids depend on training interactions only. Users come in the order of their raw
tokens, and items without training interactions come last, in the order of theirs. So no code
depends on RecBole's numbering or on the order of the file, which held-out interactions influence.

No code is a prefix of another code, so an item's last token ends it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from llm4rec_recbole.errors import InputError

_BASE = 100  # T5's own tokenizer also splits numbers into about two digits
_MAX_DENSE = 500  # up to this many nodes all eigenvectors are computed, also of disconnected graphs

Code = tuple[int, ...]


def item_codes(
    kind: str,
    users: np.ndarray,
    items: np.ndarray,
    names: Sequence[str],
    clusters: int = 20,
    max_cluster_items: int = 100,
    id_tokens: int = 2000,
    seed: int = 0,
) -> list[Code]:
    """Each item's code: id tokens from 0 to 99, or `id_tokens` - 1 (collaborative).

    users, items: (N,) training interactions, each user's oldest first, items from 0 to n - 1;
    names: the n raw item tokens. A cluster of more than `max_cluster_items` items is divided into
    `clusters`. Siblings have different tokens; tokens are reused after the last one. Raises
    InputError for fewer id tokens than a node can have children.
    """
    by_name = np.argsort(np.asarray(names, dtype=str), kind="stable")
    if kind == "sequential":
        _, first, user = np.unique(users, return_index=True, return_inverse=True)
        by_first = np.argsort(np.argsort(first))[user]  # users in the order of their first rows
        visited = items[np.argsort(by_first, kind="stable")]  # user by user
        order = np.concatenate(
            [visited[np.sort(np.unique(visited, return_index=True)[1])], by_name]
        )
        order = order[np.sort(np.unique(order, return_index=True)[1])]
        return _numbered(order)
    if kind == "random":
        return _numbered(by_name[np.random.default_rng(seed).permutation(len(names))])
    # Items that share no user with the others form one more part of a cluster.
    if id_tokens < max(clusters + 1, max_cluster_items) or clusters < 2 or max_cluster_items < 1:
        message = f"{id_tokens} id tokens for {clusters} clusters of at most {max_cluster_items}"
        hint = (
            "id_tokens >= max(id_clusters + 1, max_cluster_items), id_clusters >= 2, "
            "max_cluster_items >= 1"
        )
        raise InputError(message, hint=hint)
    return _collaborative(users, items, by_name, clusters, max_cluster_items, id_tokens, seed)


def _numbered(order: np.ndarray) -> list[Code]:
    """Write the number i of the i-th item of `order` in base 100, all with the same width."""
    width = max(1, int(np.ceil(np.log(max(len(order), 2)) / np.log(_BASE) - 1e-9)))
    number = np.argsort(order)  # of each item
    digits = number[:, None] // _BASE ** np.arange(width - 1, -1, -1) % _BASE  # (n, width)
    return [tuple(row) for row in digits.tolist()]


def _collaborative(
    users: np.ndarray,
    items: np.ndarray,
    by_name: np.ndarray,
    clusters: int,
    max_cluster_items: int,
    id_tokens: int,
    seed: int,
) -> list[Code]:
    node_of_item = np.argsort(by_name)  # (n,); nodes of the graph are items in order of names
    history = sp.csr_matrix(
        (np.ones(len(items)), (np.unique(users, return_inverse=True)[1], node_of_item[items])),
        shape=(len(np.unique(users)), len(by_name)),
    )
    graph = (history.T @ history).tocsr()  # (n, n) users that two items share
    trains = graph.diagonal() > 0
    graph.setdiag(0)
    codes: dict[int, Code] = {}
    next_token = 0
    warm, cold = np.flatnonzero(trains), np.flatnonzero(~trains)
    top = [part for part in (warm, cold) if len(part)]
    waiting: list[tuple[Code, list[np.ndarray]]] = [((), top)]
    if sum(map(len, top)) <= max_cluster_items:
        waiting = [((), [np.array([item]) for part in top for item in part])]
    while waiting:  # breadth first, so that clusters of one level have different tokens
        code, parts = waiting.pop(0)
        for part in parts:
            child = (*code, next_token % id_tokens)
            next_token += 1
            if len(part) == 1:
                codes[int(part[0])] = child
            elif len(part) <= max_cluster_items:
                waiting.append((child, [part[i : i + 1] for i in range(len(part))]))
            else:
                waiting.append((child, _divide(graph, part, clusters, seed)))
    return [codes[node] for node in node_of_item.tolist()]


def _divide(graph: sp.csr_matrix, part: np.ndarray, clusters: int, seed: int) -> list[np.ndarray]:
    """Divide the items `part` into spectral clusters, or into equal parts if nothing links them."""
    among = graph[part][:, part]
    linked = np.asarray(among.sum(1)).ravel() > 0
    divided: list[np.ndarray] = []
    if linked.sum() > clusters + 1:  # the solver needs more items than eigenvectors
        label = spectral_clusters(among[linked][:, linked], clusters, seed)
        divided = [part[linked][label == cluster] for cluster in np.unique(label)]
    if len(divided) < 2:
        return np.array_split(part, clusters)
    return divided if linked.all() else [*divided, part[~linked]]


def spectral_clusters(graph: sp.csr_matrix, clusters: int, seed: int = 0) -> np.ndarray:
    """The cluster of each of n nodes, (n,) ints below `clusters`; a cluster may be empty.

    Normalised spectral clustering (Ng, Jordan & Weiss, NIPS 2001). The smallest eigenvalues of the
    Laplacian I - D^-1/2 A D^-1/2 are the largest of D^-1/2 A D^-1/2. Lanczos finds these by matrix
    products alone. It takes 2 s for Beauty's 12,101 items; scikit-learn takes 15 minutes for the
    same clusters (tests/models/test_spectral_clusters.py).

    graph: (n, n) symmetric weights >= 0, without isolated nodes; clusters: fewer than n; seed: of
    Lanczos' start vector, which decides between equal eigenvalues.
    """
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scale = sp.diags_array(1 / np.sqrt(degree))
    normalised = scale @ graph @ scale
    if len(degree) <= _MAX_DENSE:
        vectors = np.linalg.eigh(normalised.toarray())[1][:, -clusters:]
    else:
        from scipy.sparse.linalg import eigsh

        start = np.random.default_rng(seed).uniform(-1, 1, len(degree))
        vectors = eigsh(normalised, clusters, which="LA", v0=start)[1]
    return _nearest_axis(scale @ vectors)


def _nearest_axis(vectors: np.ndarray) -> np.ndarray:
    """The nearest of k axes for each row of `vectors` (n, k). The axes are first rotated towards
    the k most different rows (CPQR, Damle, Minden & Ying, Information and Inference 2019)."""
    from scipy.linalg import polar, qr

    rows = qr(vectors.T, mode="r", pivoting=True)[1][: vectors.shape[1]]
    rotation = polar(vectors[rows].T)[0]
    return np.abs(vectors @ rotation).argmax(axis=1)
