"""Fusion in EnhancedGenRec: what an item's content is, and where it enters."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole.components.training_features import training_features
from llm4rec_recbole.data import atomic, table_cache
from llm4rec_recbole.models.enhanced_genrec.build import NoAspects
from llm4rec_recbole.training.experiment import prepare, train
from llm4rec_recbole.training.run import run
from tests.helpers.trained_models import scores_of


def test_without_titles_categories_and_groups_it_runs_on_ids_and_relations(
    small: dict[str, Any],
) -> None:
    trained = train("EnhancedGenRec", "two_cycles", options=small)
    model = trained.model
    assert model.content.fusion.modalities == ("numbers",)  # counts of interactions, ratings
    assert not model.retrieved.uses_text  # it retrieves by co-occurrence alone
    assert isinstance(model.aspects, NoAspects)
    assert model.debiasing.adversary is None
    assert np.isfinite(scores_of(trained, trained.data.test.held_out)).all()


def test_an_items_numbers_are_its_count_in_training_its_year_and_its_rating(
    described: dict[str, Any],
) -> None:
    run_ = prepare("EnhancedGenRec", "two_cycles", options=described)
    features = training_features(run_.config, run_.data.train.dataset)
    counts, tokens = (
        np.log1p(features.counts[1:]),
        run_.data.train.dataset.field2id_token["item_id"],
    )
    years = np.array([1950 + int(token[1:]) for token in tokens[1:]], dtype=float)
    years[[token in ("i4", "i39") for token in tokens[1:]]] = np.nan  # no year
    for column, naive in enumerate((counts, years)):
        naive = (naive - np.nanmean(naive)) / np.nanstd(naive)
        numbers = features.content.numbers[1:, column].numpy()
        np.testing.assert_allclose(numbers, np.nan_to_num(naive), rtol=1e-4, atol=1e-5)
        assert features.content.is_number[1:, column].tolist() == (~np.isnan(naive)).tolist()
    assert features.content.numbers.shape[1] == 3


def test_an_items_vector_is_its_own_and_its_contents(described: dict[str, Any]) -> None:
    model = prepare("EnhancedGenRec", "two_cycles", options=described).model.eval()
    content = model.item_table() - model.item_embedding.weight
    torch.testing.assert_close(content, model.content.weight * model.content.fusion())
    assert content[1:].any(1).all()  # each has a count of its interactions, if nothing else


def test_each_file_of_the_data_set_is_parsed_once_a_run(
    described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in Path(described["data_path"]).glob("two_cycles/two_cycles.*"):
        os.utime(path, (1e9, 1e9))  # files that were just written are read again
    table_cache._memory.clear()
    parsed, parse = [], atomic._parse
    monkeypatch.setattr(
        atomic, "_parse", lambda path, *rest: parsed.append(path.name) or parse(path, *rest)
    )
    run("EnhancedGenRec", "two_cycles", options=described | {"epochs": 1})
    assert "two_cycles.item" in parsed
    assert len(parsed) == len(set(parsed))
