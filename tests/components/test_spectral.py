"""Item vectors from the training histories, against a naive version and a known answer."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from llm4rec_recbole.components.item_init import (
    cooccurrence_matrix,
    largest_factors,
    ppmi_matrix,
    spectral_vectors,
)

USERS = np.array([1, 1, 1, 1, 2, 2, 2])
ITEMS = np.array([1, 2, 3, 1, 2, 3, 4])


def naive_nearness(users: np.ndarray, items: np.ndarray, n_items: int, window: int) -> np.ndarray:
    near = np.zeros((n_items, n_items))
    for a in range(len(users)):
        for b in range(len(users)):
            if a != b and users[a] == users[b] and abs(a - b) <= window:
                near[items[a], items[b]] += 0.8 ** (abs(a - b) - 1)
    return near


def test_nearness_is_the_naive_one_and_ends_at_the_user() -> None:
    for window in (1, 2, 3):
        expected = naive_nearness(USERS, ITEMS, 6, window)
        np.testing.assert_allclose(cooccurrence_matrix(USERS, ITEMS, 6, window).toarray(), expected)


def test_pairs_rarer_than_expected_have_no_weight() -> None:
    users = np.repeat([1, 2, 3], 6)
    items = np.array([1, 2, 1, 2, 1, 2, 3, 4, 3, 4, 3, 4, 1, 3, 1, 2, 3, 4])  # 1 and 3 meet rarely
    near = naive_nearness(users, items, 5, 1)
    mass = near.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.log(near * mass.sum() / np.outer(mass, mass))
    assert (information[near > 0] < 0).any()
    ppmi = ppmi_matrix(cooccurrence_matrix(users, items, 5, 1), mass)
    expected = np.where(near > 0, np.maximum(information, 0), 0)
    np.testing.assert_allclose(ppmi.toarray(), expected)
    assert (ppmi.data > 0).all()


def test_items_of_two_worlds_are_orthogonal_and_neighbours_are_alike() -> None:
    random = np.random.default_rng(0)
    users = np.repeat(np.arange(40), 12)
    items = 1 + random.integers(0, 5, len(users)) + 5 * (users % 2)
    vectors = spectral_vectors(users, items, 12, d=2)
    cosine = (
        vectors @ vectors.T / np.maximum(np.outer(*[np.linalg.norm(vectors, axis=1)] * 2), 1e-9)
    )
    assert cosine[1:6, 1:6].min() > 0.9
    assert np.abs(cosine[1:6, 6:11]).max() < 0.1


def test_items_that_never_occur_and_the_pad_have_zeros_and_the_scale_is_one() -> None:
    vectors = spectral_vectors(USERS, ITEMS, 8, d=3)
    assert not vectors[[0, 5, 6, 7]].any()
    assert np.isclose((vectors[1:5] ** 2).mean(), 1)


def test_no_pairs_give_zeros() -> None:
    assert not spectral_vectors(np.array([1, 2]), np.array([1, 2]), 4, d=2).any()


def test_vectors_are_the_factors_of_the_smoothed_ppmi() -> None:
    near = naive_nearness(USERS, ITEMS, 6, 3)
    share = near.sum(1) ** 0.75
    share /= share.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        ppmi = np.maximum(np.log(near / near.sum() / np.outer(share, share)), 0)
    ppmi[near == 0] = 0
    values, basis = np.linalg.eigh(ppmi)
    expected = (basis * np.abs(values)) @ basis.T
    vectors = spectral_vectors(USERS, ITEMS, 6, d=6, window=3)
    products = vectors @ vectors.T
    np.testing.assert_allclose(products / products.max(), expected / expected.max(), atol=1e-5)
    assert np.isclose((vectors[1:5] ** 2).mean(), 1)
    assert not vectors[[0, 5]].any()


def test_the_largest_factors_are_those_of_the_singular_values() -> None:
    random = np.random.default_rng(0)
    basis, _ = np.linalg.qr(random.standard_normal((60, 60)))
    spectrum = np.concatenate([[9, -8, 7, -6], random.uniform(-1, 1, 56)])
    matrix = sp.csr_matrix((basis * spectrum) @ basis.T).astype(np.float32)
    values, vectors = largest_factors(matrix, 4)
    np.testing.assert_allclose(values, [9, 8, 7, 6], rtol=1e-4)
    np.testing.assert_allclose(np.abs(vectors.T @ basis[:, :4]), np.eye(4), atol=1e-3)
