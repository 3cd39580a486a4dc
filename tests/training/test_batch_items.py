"""The items that a batch reads: with them alone the loss is the one over all items' vectors."""

from __future__ import annotations

import numpy as np
import torch

from llm4rec_recbole.training.batches import BatchItems
from llm4rec_recbole.training.losses import SampledLoss, full_cross_entropy

OPTIONS = {
    "num_negatives": 5,
    "negatives": "uniform",
    "sce_scale": 1.0,
    "gbce_calibration": 0.5,
}


def test_the_loss_and_its_gradients_are_those_over_all_items() -> None:
    torch.manual_seed(0)
    table = torch.randn(40, 3, dtype=torch.float64, requires_grad=True)
    items, targets = torch.tensor([[1, 7, 0], [9, 2, 30]]), torch.tensor([7, 7, 2, 30])
    states = torch.randn(4, 3, dtype=torch.float64)
    for name in ("sampled", "gbce", "sce"):
        loss = SampledLoss(name, OPTIONS, np.ones(40))
        torch.manual_seed(1)
        negatives, log_counts = loss.draw(targets)
        expected = loss(states, table, targets, drawn=(negatives, log_counts))
        (wanted,) = torch.autograd.grad(expected, table)
        torch.manual_seed(1)
        batch = BatchItems(loss, items, targets)
        assert batch.ids is not None
        assert batch.ids[0] == 0
        assert set(batch.ids.tolist()) == {0, 1, 7, 9, 2, 30, *negatives.tolist()}
        assert torch.equal(batch.ids[batch.rows(items)], items)
        got = batch.loss(states, batch.of(table), batch.rows(targets))
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(torch.autograd.grad(got, table)[0], wanted)


def test_a_loss_over_the_catalogue_reads_all_items() -> None:
    items = torch.tensor([[1, 2]])
    batch = BatchItems(full_cross_entropy, items, torch.tensor([2]))
    table = torch.randn(4, 3)
    assert batch.ids is None
    assert batch.rows(items) is items
    assert batch.of(table) is table
    states = torch.randn(1, 3)
    expected = full_cross_entropy(states, table, torch.tensor([2]))
    torch.testing.assert_close(batch.loss(states, table, torch.tensor([2])), expected)
