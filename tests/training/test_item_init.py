"""Item vectors before the first step: whitened texts, and the option `item_init`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from llm4rec_recbole.components.fusion.item_content import whitened
from llm4rec_recbole.components.item_init import spectral_vectors
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.registry import ITEM_INIT
from llm4rec_recbole.training.dataset import interactions_of
from llm4rec_recbole.training.experiment import prepare


def test_whitened_columns_are_uncorrelated_and_rows_without_text_stay_zero() -> None:
    random = np.random.default_rng(0)
    texts = random.standard_normal((50, 8)) @ random.standard_normal((8, 8)) + 3
    texts[[0, 7]] = 0
    vectors = whitened(texts, 5)
    has_text = vectors.any(1)
    assert np.flatnonzero(~has_text).tolist() == [0, 7]
    covariance = np.cov(vectors[has_text].T)
    np.testing.assert_allclose(covariance, covariance[0, 0] * np.eye(5), atol=1e-5)
    np.testing.assert_allclose(vectors[has_text].mean(0), 0, atol=1e-6)
    assert np.isclose((vectors[has_text] ** 2).mean(), 1)


def test_columns_beyond_the_rank_of_the_texts_are_zeros() -> None:
    texts = np.random.default_rng(0).standard_normal((20, 2))
    vectors = whitened(texts, 6)
    assert vectors[:, :2].any(0).all()
    assert not vectors[:, 2:].any()


@pytest.mark.parametrize("model", ["SASRec", "BERT4Rec", *ITEM_INIT])
def test_spectral_vectors_replace_those_of_items_that_occur(model: str, options: Any) -> None:
    given = options | {"item_init": "spectral", "item_init_std": 0.3}
    made = prepare(model, "two_cycles", options=given)
    random = prepare(model, "two_cycles", options=options)
    inter = interactions_of(made.data.train.dataset).inter_feat
    users, items = inter["user_id"].numpy(), inter["item_id"].numpy()
    order = np.argsort(users, kind="stable")
    users, items = users[order], items[order]
    table = made.model.item_embedding.weight.detach().numpy()
    expected = 0.3 * spectral_vectors(users, items, made.model.n_items, table.shape[1])
    occurs = expected.any(1)
    assert occurs.any()
    np.testing.assert_allclose(table[: len(expected)][occurs], expected[occurs], rtol=1e-6)
    before = random.model.item_embedding.weight.detach().numpy()
    assert (table[: len(expected)][~occurs] == before[: len(expected)][~occurs]).all()
    assert (table[len(expected) :] == before[len(expected) :]).all()  # BERT4Rec's mask token


def test_text_vectors_need_texts(options: Any) -> None:
    with pytest.raises(InputError, match="no item has a text"):
        prepare("SASRec", "two_cycles", options=options | {"item_init": "text"})
