"""Relations against a naive EASE, and the closed form without a user against fitting anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llm4rec_recbole.components import item_relations as relations
from llm4rec_recbole.components.item_relations import (
    RelationTerm,
    fit_relations,
    matrix_rows,
    order_moments,
)
from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.models.baselines import history_matrix

N_ITEMS, DECAY = 12, 0.8


def interactions(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ten users with four to eight items each."""
    random = np.random.default_rng(seed)
    rows = [random.permutation(np.arange(1, N_ITEMS))[: random.integers(4, 9)] for _ in range(10)]
    users = np.repeat(np.arange(1, 11), [len(row) for row in rows])
    return users, np.concatenate(rows)


def naive_ease(x: np.ndarray, reg_weight: float) -> np.ndarray:
    p = np.linalg.inv(x.T @ x + reg_weight * np.eye(x.shape[1]))
    b = np.zeros_like(p)
    for i in range(len(p)):
        for j in range(len(p)):
            b[i, j] = 0.0 if i == j else -p[i, j] / p[j, j]
    return b


def naive_moments(users: np.ndarray, items: np.ndarray, n_items: int, decay: float) -> Any:
    """SᵀS and SᵀT from S and T themselves."""
    before, next_item = [np.zeros(n_items)], [np.zeros(n_items)]
    for user in np.unique(users):
        history = items[users == user]
        for position in range(1, len(history)):
            before.append(np.zeros(n_items))
            next_item.append(np.eye(n_items)[history[position]])
            for earlier in range(position):
                before[-1][history[earlier]] += decay ** (position - 1 - earlier)
    s, t = np.array(before), np.array(next_item)
    s[:, 0] = t[:, 0] = 0.0
    return s.T @ s, s.T @ t


def naive_slist(users, items, n_items, reg_weight, decay, next_weight) -> np.ndarray:
    """B minimises its quadratic with the diagonal at 0: each column is a system of its own."""
    x = np.zeros((users.max() + 1, n_items))
    x[users, items] = 1.0
    x[:, 0] = 0.0
    past, following = naive_moments(users, items, n_items, decay)
    a = x.T @ x + next_weight * past + reg_weight * np.eye(n_items)
    c = x.T @ x + next_weight * following
    b = np.zeros((n_items, n_items))
    for column in range(n_items):
        others = np.arange(n_items) != column
        b[others, column] = np.linalg.solve(a[np.ix_(others, others)], c[others, column])
    return b


def matrix(users: np.ndarray, items: np.ndarray, without: int | None = None) -> np.ndarray:
    x = np.zeros((11, N_ITEMS))
    x[users, items] = 1.0
    if without is not None:
        x[without] = 0.0
    return x


def fitted() -> torch.Tensor:
    return fit_relations(*interactions(), N_ITEMS, 3.0).weights


def test_relations_are_ease() -> None:
    users, items = interactions()
    expected = naive_ease(matrix(users, items), 3.0)
    np.testing.assert_allclose(fitted(), expected, atol=1e-6)


@given(
    seed=st.integers(0, 9), next_weight=st.sampled_from([0.0, 0.3, 2.0]), decay=st.floats(0.1, 1.0)
)
def test_relations_with_order_are_slist(seed: int, next_weight: float, decay: float) -> None:
    """Also with repeated items, item 0, and users of one interaction."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(1, 12, 60), rng.integers(0, 20, 60)
    weights = fit_relations(users, items, 20, 2.0, decay, next_weight).weights
    expected = naive_slist(users, items, 20, 2.0, decay, next_weight)
    np.testing.assert_allclose(weights, expected, atol=1e-5)


def test_a_sparse_product_gives_what_a_dense_one_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large catalogue is also fitted in float32."""
    rng = np.random.default_rng(0)
    users, items = np.repeat(np.arange(40), 3), rng.integers(1, 200, 120)
    dense = fit_relations(users, items, 200, 2.0, 0.8, 1.0).weights
    past, following = order_moments(users, items, 200, 0.8)
    assert 0 < (following - past).nnz < 200**2 / 20  # so this is the sparse one
    monkeypatch.setattr(relations, "LARGE", 100)
    monkeypatch.setattr(relations, "_ROWS_AT_ONCE", 64)
    torch.testing.assert_close(fit_relations(users, items, 200, 2.0, 0.8, 1.0).weights, dense)
    np.testing.assert_allclose(dense, naive_slist(users, items, 200, 2.0, 0.8, 1.0), atol=1e-6)


def test_pairs_added_in_parts_are_those_added_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    users, items = interactions()
    expected = naive_moments(users, items, N_ITEMS, DECAY)
    monkeypatch.setattr(relations, "_PAIRS_AT_ONCE", 10)
    for sums, naive in zip(order_moments(users, items, N_ITEMS, DECAY), expected, strict=True):
        np.testing.assert_allclose(sums.toarray(), naive, atol=1e-12)


def test_rows_lie_together_or_every_lookup_copies_the_matrix() -> None:
    weights = fit_relations(np.array([1, 1]), np.array([1, 2]), 3, 1.0).weights
    assert weights.is_contiguous()


def test_a_repeat_counts_once() -> None:
    users, items = (np.append(x, x[:3]) for x in interactions())
    again = fit_relations(users, items, N_ITEMS, 3.0).weights
    torch.testing.assert_close(again, fitted(), rtol=0, atol=0)


def test_no_interactions_relate_nothing() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert not fit_relations(none, none, N_ITEMS, 3.0, 0.8, 1.0).weights.any()


def test_interactions_of_item_0_are_left_out() -> None:
    users, items = interactions()
    assert not fitted()[0].any()
    again = fit_relations(np.append(users, [1, 2]), np.append(items, [0, 0]), N_ITEMS, 3.0).weights
    torch.testing.assert_close(again, fitted(), rtol=0, atol=0)


def test_rows_counted_apart_are_those_counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = fitted()
    monkeypatch.setattr(relations, "_ROWS_AT_ONCE", 5)
    torch.testing.assert_close(fitted(), expected, rtol=0, atol=0)


def test_in_a_large_catalogue_the_most_frequent_items_take_part() -> None:
    items = np.array([2, 5, 5, 3, 2, 5, 4, 3, 4])  # 5 three times; 2, 3 and 4 twice each
    np.testing.assert_array_equal(matrix_rows(items, 7, max_items=3), [0, 0, 1, 2, 0, 3, 0])
    np.testing.assert_array_equal(matrix_rows(items, 7, max_items=6), np.arange(7))
    np.testing.assert_array_equal(matrix_rows(items, 7, max_items=0), np.zeros(7))


def histories(*items: list[int]) -> HeldOut:
    """Users 1, 2, … with these histories, oldest first."""
    users = np.arange(1, len(items) + 1)
    indptr = np.cumsum([0, *map(len, items)])
    seen = np.concatenate(items).astype(np.int64)
    return HeldOut(users, users, indptr, seen, np.arange(len(seen)), N_ITEMS)


def test_an_item_of_age_a_weighs_decay_to_the_a() -> None:
    rows = history_matrix(histories([3, 1, 2], [], [5]), np.arange(3), 0.5)
    expected = np.zeros((3, N_ITEMS))
    expected[0, [3, 1, 2]], expected[2, 5] = [0.25, 0.5, 1.0], 1.0
    np.testing.assert_array_equal(rows.toarray(), expected)


def test_scores_are_those_of_recency_ease() -> None:
    """Through torch here, through sparse rows in models/baselines.py: one formula."""
    users, items = interactions()
    term = RelationTerm(users, items, N_ITEMS, N_ITEMS, 5.0, DECAY)
    history = [7, 2, 9, 4]
    scores = term(torch.tensor([history]))
    rows = history_matrix(histories(history), np.array([0]), DECAY)
    np.testing.assert_allclose(scores, rows @ term.item_item_weights.numpy(), rtol=1e-5)


def test_the_pad_retrieves_nothing() -> None:
    weights = fitted()
    assert not weights[0].any()
    assert not weights[:, 0].any()


@given(
    seed=st.integers(0, 9),
    size=st.integers(1, 12),
    max_items=st.sampled_from([8, 30]),
    next_weight=st.sampled_from([0.0, 0.5, 2.0]),
)
def test_learning_interactions_equals_fitting_with_them(
    seed: int, size: int, max_items: int, next_weight: float
) -> None:
    """Also pairs that repeat, users without a history, and items without relations."""
    rng = np.random.default_rng(seed)
    users, items = rng.integers(1, 9, 60), rng.integers(1, 31, 60)
    new = [(int(rng.integers(1, 11)), int(rng.integers(1, 31))) for _ in range(12)]

    def term(*more: tuple[int, int]) -> RelationTerm:
        index = matrix_rows(items, 31, max_items)  # the same items as before the new pairs
        made = RelationTerm(users, items, 31, max_items, 2.0, 0.9, next_weight)
        added = np.array(more, dtype=np.int64).reshape(-1, 2)
        made.pairs = np.append(users, added[:, 0]), index[np.append(items, added[:, 1])]
        return made

    learning, histories = term(), {user: items[users == user] for user in range(1, 11)}
    for start in range(0, len(new), size):
        batch = new[start : start + size]
        seen = []
        for user, item in batch:
            seen.append(histories[user])
            histories[user] = np.append(histories[user], item)
        learning.learn([user for user, _ in batch], seen, [item for _, item in batch])
    expected = term(*new)
    expected.fit()
    torch.testing.assert_close(
        learning.item_item_weights, expected.item_item_weights, atol=1e-5, rtol=1e-4
    )
    assert learning.matrices is not None
    assert expected.matrices is not None
    torch.testing.assert_close(
        learning.matrices.inverse, expected.matrices.inverse, atol=1e-5, rtol=1e-4
    )


def test_a_large_update_fits_again_and_a_small_one_does_not(monkeypatch: Any) -> None:
    """A change of 3 k columns for k events would need more memory than the fit."""
    fits = []
    monkeypatch.setattr(
        relations,
        "fit_relations",
        lambda *given: fits.append(given) or fit_relations(*given),
    )
    users, items = interactions()
    made = RelationTerm(users, items, 40, 40, 2.0, 0.9)
    none = np.zeros(0, dtype=np.int64)
    made.learn([1], [none], [30])
    assert len(fits) == 1
    made.learn([1] * 10, [none] * 10, [*range(20, 30)])
    assert len(fits) == 2
    assert len(fits[1][0]) == len(users) + 11  # the pair of the small update too
