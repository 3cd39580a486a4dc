"""The SASRec beside EnhancedGenRec's language model: its scores, and which batches train what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from llm4rec_recbole.components.item_texts import NoTexts
from llm4rec_recbole.components.sasrec_term import SasrecTerm
from llm4rec_recbole.errors import InputError
from llm4rec_recbole.models.enhanced_genrec.model import EnhancedGenRec
from llm4rec_recbole.training.experiment import prepare, train

WITH_SASREC = {"components": ["sasrec"], "llm": "scratch-32x2"}


def test_its_scores_are_those_of_the_model_sasrec(options: Any) -> None:
    model = prepare("SASRec", "two_cycles", options=options | {"norm": "pre"}).model.eval()
    d, length = model.item_embedding.embedding_dim, model.position_embedding.num_embeddings
    term = SasrecTerm(model.n_items, d, length, 0.5, NoTexts()).eval()
    model.trm_encoder.layers[0].n_heads = model.trm_encoder.layers[1].n_heads = 2
    term.item_embedding, term.position_embedding = model.item_embedding, model.position_embedding
    term.encoder, term.norm = model.trm_encoder, model.LayerNorm
    items = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
    expected = model(items, torch.tensor([4, 2])) @ model.item_embedding.weight.T
    torch.testing.assert_close(term(items), expected)


def test_a_history_without_items_is_that_of_one_pad() -> None:
    term = SasrecTerm(9, 8, 5, 0.0, NoTexts())
    empty = term(torch.zeros(2, 0, dtype=torch.int64))
    torch.testing.assert_close(empty, term(torch.zeros(2, 1, dtype=torch.int64)))


@pytest.mark.parametrize(("draw", "reads"), [(0.2, True), (0.5, False)])
def test_the_language_model_learns_from_its_share_of_the_batches(
    options: Any, monkeypatch: pytest.MonkeyPatch, draw: float, reads: bool
) -> None:
    given = options | WITH_SASREC | {"language_model_share": 0.5}
    experiment = prepare("EnhancedGenRec", "two_cycles", options=given)
    model, batch = experiment.model, next(iter(experiment.data.train))
    monkeypatch.setattr(torch, "rand", lambda *size: torch.tensor(draw))
    model.calculate_loss(batch).backward()
    learns = {name for name, p in model.named_parameters() if p.grad is not None}
    assert any(name.startswith("sasrec.") for name in learns)
    assert any(name.startswith("backbone.") for name in learns) == reads
    assert ("item_embedding.weight" in learns) == reads


def test_items_without_training_interactions_can_be_left_out_of_its_loss(options: Any) -> None:
    given = options | WITH_SASREC | {"cold_items_as_negatives": False}
    experiment = prepare("EnhancedGenRec", "two_cycles", options=given)
    model, batch = experiment.model, next(iter(experiment.data.train))
    model.excluded_items[5] = True
    model.calculate_loss(batch).backward()
    gradient = model.sasrec.item_embedding.weight.grad
    read = batch["item_id_list"]
    assert bool(gradient[5].any()) == bool((read == 5).any())


def test_it_starts_from_the_vectors_of_item_init(options: Any) -> None:
    model = prepare(
        "EnhancedGenRec", "two_cycles", options=options | WITH_SASREC | {"item_init": "spectral"}
    ).model
    torch.testing.assert_close(
        model.sasrec.item_embedding.weight[1:], model.item_embedding.weight[1:]
    )


def test_the_ranking_adds_its_scores_with_the_weight(options: Any) -> None:
    given = options | WITH_SASREC | {"sasrec_weight": 2.0}
    trained = train("EnhancedGenRec", "two_cycles", options=given)
    model, held_out = trained.model.eval(), trained.data.test.held_out
    rows = np.arange(4)
    with torch.no_grad():
        users, items, entries = model.inputs_of(held_out, rows)
        table = model.item_table()
        states = model(users, items, table, entries, last_only=True)
        expected = states @ table.T + model.item_bias + 2 * model.sasrec(items)
    np.testing.assert_allclose(model.score_histories(held_out, rows), expected.numpy(), rtol=1e-4)


def test_texts_are_part_of_its_vectors_where_fusion_is_on(described: dict[str, Any]) -> None:
    both = described | {"components": ["fusion", "sasrec"], "sasrec_text_std": 0.1}
    term = prepare("EnhancedGenRec", "two_cycles", options=both).model.sasrec
    own, ids = term.item_embedding.weight, torch.tensor([2, 9])
    part = term.item_table() - own
    assert part[1:].any(1).sum() == 38  # of 40 items, two have no text
    torch.testing.assert_close(term.item_table(ids), term.item_table()[ids])
    for given in ({"components": ["sasrec"]}, {"sasrec_text_std": 0.0}):
        term = prepare("EnhancedGenRec", "two_cycles", options=both | given).model.sasrec
        torch.testing.assert_close(term.item_table(), term.item_embedding.weight)


@pytest.mark.parametrize("components", [["sasrec"], ["fusion"]])
def test_the_option_of_its_texts_needs_both_components(components: list[str]) -> None:
    assert "sasrec_text_std" in EnhancedGenRec.options_without_reader({"components": components})


def test_its_texts_need_a_text(options: Any) -> None:
    given = options | WITH_SASREC | {"components": ["fusion", "sasrec"], "sasrec_text_std": 0.1}
    with pytest.raises(InputError, match="sasrec_text_std: no item has a text"):
        prepare("EnhancedGenRec", "two_cycles", options=given)
