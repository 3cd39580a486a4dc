"""Spectral clusters, against scikit-learn's, which inverts the Laplacian."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from llm4rec_recbole.models.p5 import item_ids as module
from llm4rec_recbole.models.p5.item_ids import spectral_clusters


def blocks(sizes: list[int], across: float, seed: int = 0) -> tuple[sp.csr_matrix, np.ndarray]:
    """A graph of dense blocks of nodes, with few links from one to another, and each node's."""
    random = np.random.default_rng(seed)
    block = np.repeat(np.arange(len(sizes)), sizes)
    likely = np.where(block[:, None] == block, 0.6, across)
    upper = np.triu(random.random(likely.shape) < likely, 1) * random.integers(1, 5, likely.shape)
    chain = np.diag(block[:-1] == block[1:], 1)[: len(block), : len(block)]  # no node alone
    weights = np.maximum(upper, chain)
    return sp.csr_matrix((weights + weights.T).astype(float)), block


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the two put the same nodes together, whatever the clusters' numbers."""
    pairs = {*zip(one.tolist(), other.tolist())}
    return len(pairs) == len({*one.tolist()}) == len({*other.tolist()})


@pytest.fixture(params=["all eigenvectors", "Lanczos"])
def solver(request, monkeypatch):
    if request.param == "Lanczos":
        monkeypatch.setattr(module, "_MAX_DENSE", 0)


@pytest.mark.parametrize("across", [0.0, 0.02])
def test_blocks_are_found_whether_linked_or_not(solver, across):
    graph, block = blocks([30, 50, 40], across)
    assert same_partition(spectral_clusters(graph, 3), block)


def test_the_clusters_are_those_of_scikit_learn(solver):
    """Noisy blocks and more clusters than blocks, so that most cuts are a close thing."""
    from sklearn.cluster import SpectralClustering

    graph, _ = blocks([60, 90, 70, 30], 0.2)
    oracle = SpectralClustering(
        9, affinity="precomputed", assign_labels="cluster_qr", random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = oracle.fit_predict(graph)
    labels = spectral_clusters(graph, 9)
    assert len(np.unique(expected)) > 5
    np.testing.assert_array_equal(labels, expected)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(8, 40))
def test_every_node_has_a_cluster_and_weights_have_no_unit(seed, clusters, nodes):
    graph, _ = blocks([nodes // 2, nodes - nodes // 2], 0.3, seed)
    labels = spectral_clusters(graph, clusters)
    assert labels.shape == (nodes,)
    assert {*labels.tolist()} <= {*range(clusters)}
    np.testing.assert_array_equal(spectral_clusters(graph * 4, clusters), labels)
