"""Spectral clusters of a graph (Ng, Jordan & Weiss, NIPS 2001), without an inverse of it.

The eigenvectors of the smallest eigenvalues of the normalised Laplacian I - D^-1/2 A D^-1/2 are
those of the largest of D^-1/2 A D^-1/2, which Lanczos finds by products with it alone. scikit-learn
factorises the Laplacian, and a sparse graph's factors are not sparse: the 12,101 items of Beauty
took it more than 15 minutes beside other runs, this 2 s. Both find the same clusters
(tests/models/test_spectral_clusters.py).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

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
