"""Adaptation in EnhancedGenRec: what it learns from, and under which scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from llm4rec_recbole.components.adaptation.adapter import next_item_events
from llm4rec_recbole.components.adaptation.prequential import prequential_rows
from llm4rec_recbole.training.experiment import prepare, train
from tests.helpers.trained_models import scores_of


def test_adaptation_learns_from_the_validation_items_and_from_nothing_else(
    described: dict[str, Any],
) -> None:
    given = described | {"components": ["adaptation"], "adaptation_rate": 0.05}
    still = train("EnhancedGenRec", "two_cycles", options=given | {"adaptation_rate": 0.0})
    moved = train("EnhancedGenRec", "two_cycles", options=given)
    for trained in (still, moved):
        valid = trained.data.valid
        list(prequential_rows(trained.model, valid.held_out, valid.outcomes, np.zeros(0)))
    valid = still.data.valid.held_out
    rows = np.arange(len(valid))

    def likelihood(trained: Any) -> float:
        scores = torch.from_numpy(scores_of(trained, valid)).log_softmax(1)
        return float(scores[rows, valid.targets].mean())

    assert likelihood(moved) > likelihood(still)


def test_an_update_scores_what_the_ranking_scores(described: dict[str, Any]) -> None:
    """Retrieved tokens too."""
    options = described | {"components": ["fusion", "retrieval", "debiasing", "explanation"]}
    run_ = prepare("EnhancedGenRec", "two_cycles", options=options)
    model, held_out = run_.model.eval(), run_.data.valid.held_out
    torch.nn.init.ones_(model.retrieved.gate)
    assert (model.retrieved.now(held_out, np.arange(len(held_out))) >= 0).any()
    ranked = scores_of(run_, held_out)
    rows = {user: row for row, user in enumerate(held_out.users.tolist())}
    for step in next_item_events(held_out, run_.data.valid.outcomes)[:5]:
        row = rows[step.user]
        scores = torch.from_numpy(ranked[row]).index_fill(
            0, torch.from_numpy(step.history), -torch.inf
        )
        expected = -scores.log_softmax(0)[step.item]
        torch.testing.assert_close(model.event_losses([step])[0].loss, expected)
        ignorant = model.event_losses([step._replace(query_time=None)])[0].loss
        assert not torch.equal(ignorant, expected)
