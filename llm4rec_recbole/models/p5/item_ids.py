"""Spectral clusters of a graph (Ng, Jordan & Weiss, NIPS 2001), without an inverse of it.

The eigenvectors of the smallest eigenvalues of the normalised Laplacian I - D^-1/2 A D^-1/2 are
those of the largest of D^-1/2 A D^-1/2, which Lanczos finds by products with it alone. scikit-learn
factorises the Laplacian, and a sparse graph's factors are not sparse: the 12,101 items of Beauty
took it more than 15 minutes beside other runs, this 2 s. Both find the same clusters
(tests/models/test_spectral_clusters.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from llm4rec_recbole.errors import InputError

_DENSE = 500  # nodes up to which all eigenvectors are found: exact, whatever parts the graph has


def spectral_clusters(graph: sp.csr_matrix, clusters: int, seed: int = 0) -> np.ndarray:
    """The cluster of each of n nodes, (n,) ints below `clusters`; some may have no node.

    graph: (n, n) symmetric weights >= 0, each node linked to another; clusters < n; seed: of the
    vector that Lanczos begins with, which decides where eigenvalues are equal.
    """
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scale = sp.diags_array(1 / np.sqrt(degree))
    normalised = scale @ graph @ scale
    if len(degree) <= _DENSE:
        vectors = np.linalg.eigh(normalised.toarray())[1][:, -clusters:]
    else:
        from scipy.sparse.linalg import eigsh

        start = np.random.default_rng(seed).uniform(-1, 1, len(degree))
        vectors = eigsh(normalised, clusters, which="LA", v0=start)[1]
    return _assigned(scale @ vectors)


def _assigned(vectors: np.ndarray) -> np.ndarray:
    """The nearest of k axes for each row of (n, k), once the axes are turned towards the k rows
    that differ most (Damle, Minden & Ying, Information and Inference 2019)."""
    from scipy.linalg import polar, qr

    rows = qr(vectors.T, mode="r", pivoting=True)[1][: vectors.shape[1]]
    turn = polar(vectors[rows].T)[0]
    return np.abs(vectors @ turn).argmax(axis=1)


# Item ids that a language model reads and writes: each item a short code of id tokens.
#
#     sequential     items numbered in the order in which users' training histories first name them
#                    (P5, Geng et al., RecSys 2022), the number written in base 100:  1234 → 12 34
#     random         numbered at random, written the same way
#     collaborative  the item's path down a tree of spectral clusters of the co-occurrence graph
#                    (Hua et al., SIGIR-AP 2023; OpenP5), then the item's own token: 3 17 208
#
# P5's published sequential ids were numbered over whole histories, so that a test item's number
# tells
# that it follows the item before. Here every id is made from training interactions alone. P5 gives
# its users in the order of their raw tokens, and items that do not train come last, in that of
# theirs: neither RecBole's numbering nor the file's order, which the held-out interactions have a
# part in, changes any code.
#
# Codes never begin one another, so that an item's last token ends it.


KINDS = ("sequential", "random", "collaborative")
_BASE = 100  # T5's own tokenizer, too, reads numbers about two digits at a time

Code = tuple[int, ...]


def item_codes(
    kind: str,
    users: np.ndarray,
    items: np.ndarray,
    names: Sequence[str],
    clusters: int = 20,
    most_in_cluster: int = 100,
    id_tokens: int = 2000,
    seed: int = 0,
) -> list[Code]:
    """Each item's code: id tokens from 0 to `id_tokens` - 1 (collaborative) or 99 (the others).

    users, items: (N,) training interactions, each user's oldest first, items from 0 to n - 1;
    names: the n raw item tokens. A cluster of more than `most_in_cluster` items is divided into
    `clusters`; siblings have different tokens, and tokens are used again once all have been.
    Raises InputError for another kind, and for fewer id tokens than a node may have children.
    """
    if kind not in KINDS:
        raise InputError(f"there is no item indexing {kind!r}", hint=f"one of {', '.join(KINDS)}")
    by_name = np.argsort(np.asarray(names, dtype=str), kind="stable")
    if kind == "sequential":
        met = items[np.argsort(_by_first(users), kind="stable")]  # user by user
        order = np.concatenate([met[np.sort(np.unique(met, return_index=True)[1])], by_name])
        order = order[np.sort(np.unique(order, return_index=True)[1])]
        return _numbered(order)
    if kind == "random":
        return _numbered(by_name[np.random.default_rng(seed).permutation(len(names))])
    # A cluster has one part more where it holds items that share no user with the others.
    if id_tokens < max(clusters + 1, most_in_cluster) or clusters < 2 or most_in_cluster < 1:
        message = f"{id_tokens} id tokens for {clusters} clusters of at most {most_in_cluster}"
        hint = (
            "id_tokens >= max(id_clusters + 1, max_cluster_items), id_clusters >= 2, "
            "max_cluster_items >= 1"
        )
        raise InputError(message, hint=hint)
    return _collaborative(users, items, by_name, clusters, most_in_cluster, id_tokens, seed)


def _by_first(users: np.ndarray) -> np.ndarray:
    """Users renumbered in the order in which they first come."""
    _, first, inverse = np.unique(users, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _numbered(order: np.ndarray) -> list[Code]:
    """The i-th item of `order` is i, in base 100, all with the same number of digits."""
    width = max(1, int(np.ceil(np.log(max(len(order), 2)) / np.log(_BASE) - 1e-9)))
    number = np.argsort(order)  # of each item
    digits = number[:, None] // _BASE ** np.arange(width - 1, -1, -1) % _BASE  # (n, width)
    return [tuple(row) for row in digits.tolist()]


def _collaborative(
    users: np.ndarray,
    items: np.ndarray,
    by_name: np.ndarray,
    clusters: int,
    most: int,
    id_tokens: int,
    seed: int,
) -> list[Code]:
    place = np.argsort(by_name)  # rows and columns of the graph are items by name
    history = sp.csr_matrix(
        (np.ones(len(items)), (np.unique(users, return_inverse=True)[1], place[items])),
        shape=(len(np.unique(users)), len(by_name)),
    )
    graph = (history.T @ history).tocsr()  # how many users two items share
    trains = graph.diagonal() > 0
    graph.setdiag(0)
    codes: dict[int, Code] = {}
    next_token = 0
    warm, cold = np.flatnonzero(trains), np.flatnonzero(~trains)
    whole = [part for part in (warm, cold) if len(part)]
    waiting: list[tuple[Code, list[np.ndarray]]] = [((), whole)]
    if sum(map(len, whole)) <= most:
        waiting = [((), [np.array([item]) for part in whole for item in part])]
    while waiting:  # breadth first, so that clusters of one level have different tokens
        code, parts = waiting.pop(0)
        for part in parts:
            own = (*code, next_token % id_tokens)
            next_token += 1
            if len(part) == 1:
                codes[int(part[0])] = own
            elif len(part) <= most:
                waiting.append((own, [part[i : i + 1] for i in range(len(part))]))
            else:
                waiting.append((own, _divide(graph, part, clusters, seed)))
    return [codes[row] for row in place.tolist()]


def _divide(graph: sp.csr_matrix, part: np.ndarray, clusters: int, seed: int) -> list[np.ndarray]:
    """Spectral clusters of the items `part`; equal parts, in order, where nothing connects them."""
    among = graph[part][:, part]
    linked = np.asarray(among.sum(1)).ravel() > 0
    found: list[np.ndarray] = []
    if linked.sum() > clusters + 1:  # the solver needs more items than eigenvectors
        label = spectral_clusters(among[linked][:, linked], clusters, seed)
        found = [part[linked][label == cluster] for cluster in np.unique(label)]
    if len(found) < 2:
        return np.array_split(part, clusters)
    return found if linked.all() else [*found, part[~linked]]
