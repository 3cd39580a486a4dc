"""The chunked loss and its gradients are those of PyTorch's own cross-entropy."""

import pytest
import torch
from torch.nn import functional

from llm4rec_recbole.training import losses as cross_entropy
from llm4rec_recbole.training.losses import full_cross_entropy


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 64])  # a row at a time, some, all at once
def test_loss_and_gradients_equal_pytorchs(monkeypatch, with_bias, rows):
    monkeypatch.setattr(cross_entropy, "rows_in_a_chunk", lambda *sizes: rows)
    torch.manual_seed(0)
    tensors = [torch.randn(n, dtype=torch.float64) for n in ((23, 5), (11, 5), (11,))]
    targets = torch.randint(0, 11, (23,))
    gradients = []
    losses = []
    for ours in (True, False):
        states, weight, bias = (t.clone().requires_grad_() for t in tensors)
        b = bias if with_bias else None
        if ours:
            loss = full_cross_entropy(states, weight, targets, b)
        else:
            loss = functional.cross_entropy(functional.linear(states, weight, b), targets)
        (3 * loss).backward()
        losses.append(loss)
        gradients.append([states.grad, weight.grad] + ([bias.grad] if with_bias else []))
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_passes_gradcheck():
    torch.manual_seed(0)
    states, weight, bias = (
        torch.randn(n, dtype=torch.float64, requires_grad=True) for n in ((4, 3), (6, 3), (6,))
    )
    targets = torch.tensor([0, 5, 2, 2])
    assert torch.autograd.gradcheck(
        lambda s, w, b: full_cross_entropy(s, w, targets, b), (states, weight, bias)
    )


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_weighted_rows_equal_pytorchs(monkeypatch, rows):
    monkeypatch.setattr(cross_entropy, "rows_in_a_chunk", lambda *sizes: rows)
    torch.manual_seed(0)
    tensors = [torch.randn(n, dtype=torch.float64) for n in ((23, 5), (11, 5), (11,))]
    targets, row_weights = torch.randint(0, 11, (23,)), torch.rand(23, dtype=torch.float64)
    losses, gradients = [], []
    for ours in (True, False):
        states, weight, bias = (t.clone().requires_grad_() for t in tensors)
        if ours:
            loss = full_cross_entropy(states, weight, targets, bias, row_weights)
        else:
            logits = functional.linear(states, weight, bias)
            each = functional.cross_entropy(logits, targets, reduction="none")
            loss = (row_weights * each).sum() / row_weights.sum()
        (3 * loss).backward()
        losses.append(loss)
        gradients.append([states.grad, weight.grad, bias.grad])
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_large_logits_do_not_overflow():
    states, weight = torch.full((2, 1), 1e4), torch.tensor([[1.0], [-1.0]])
    assert full_cross_entropy(states, weight, torch.tensor([0, 0])).item() == 0
