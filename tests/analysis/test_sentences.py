"""How varied sentences are: known answers by hand."""

from __future__ import annotations

import math

import pytest

from llm4rec_recbole.analysis import sentences
from llm4rec_recbole.analysis.sentences import distinct_n, quality
from llm4rec_recbole.components.explanation import claims

LIKE_A = {
    "user": "1", "sentence": "X is like A.", "claims": [["item", "A", True]],
    "written_by": "template", "refused": "", "refused_claims": [],
}  # fmt: skip


def test_the_reasons_are_those_of_the_claim_check() -> None:
    assert sentences.REASONS == claims.REASONS


def test_distinct_n_counts_different_n_grams_without_case() -> None:
    texts = ["A b a", "B a, c!"]
    assert distinct_n(texts, 1) == 3 / 6
    assert distinct_n(texts, 2) == 3 / 4  # a b, b a, b a, a c
    assert math.isnan(distinct_n(["one"], 2))


def test_the_same_reason_in_other_words_is_repeated_within_a_users_list_only() -> None:
    close = LIKE_A | {"sentence": "Y is close to A.", "claims": [["likeness", "close", True],
                      ["item", "A", True]]}  # fmt: skip
    other = LIKE_A | {"user": "2"}
    trend = LIKE_A | {"claims": [["trend", "trend", True]]}
    assert quality([LIKE_A, close, other, trend])["shown"].repeated == 2 / 4


def test_the_models_own_sentences_are_counted_whether_they_are_shown_or_not() -> None:
    refused = LIKE_A | {"refused": "X is classic.", "refused_claims": [["other", "classic", False]]}
    shown = LIKE_A | {"written_by": "m", "sentence": "X is like A and rises."}
    rows = quality([LIKE_A, refused, shown])
    assert (rows["shown"].sentences, rows["shown"].by_template) == (3, pytest.approx(2 / 3))
    assert (rows["shown"].claims, rows["shown"].supported) == (3, 1)
    own = rows["the language model's own"]
    assert (own.sentences, own.claims, own.supported) == (2, 2, 0.5)
    assert list(quality([LIKE_A])) == ["shown"]
