"""Byte dropout: the right share, the right scale, and torch's seed."""

import torch
from torch import nn

from llm4rec_recbole.training.trainer import ByteDropout, use_byte_dropout


def test_keeps_the_mean_and_zeroes_the_share():
    torch.manual_seed(0)
    out = ByteDropout(0.25)(torch.ones(1000, 1001))  # a size that is no multiple of 8
    assert abs((out == 0).float().mean() - 0.25) < 0.002
    assert out[out > 0].unique().allclose(torch.tensor([4 / 3]))


def test_masks_are_independent_from_element_to_element():
    torch.manual_seed(0)
    mask = (ByteDropout(0.5)(torch.ones(1 << 20)) > 0).double()
    for lag in (1, 2, 7, 8, 64):
        correlation = torch.corrcoef(torch.stack([mask[:-lag], mask[lag:]]))[0, 1]
        assert abs(correlation) < 0.005


def test_same_seed_same_mask():
    outs = []
    for _ in range(2):
        torch.manual_seed(3)
        outs.append(ByteDropout(0.3)(torch.ones(100)))
    assert outs[0].equal(outs[1])


def test_evaluation_and_p_0_leave_the_input_alone():
    x = torch.randn(10)
    assert ByteDropout(0.5).eval()(x).equal(x)
    assert ByteDropout(0.0)(x).equal(x)


def test_gradient_flows_only_through_kept_elements():
    x = torch.ones(1000, requires_grad=True)
    out = ByteDropout(0.5)(x)
    out.sum().backward()
    assert x.grad.equal(torch.where(out > 0, 2.0, 0.0))


def test_use_byte_dropout_reaches_nested_modules_and_keeps_p():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.4)))
    use_byte_dropout(model)
    assert isinstance(model[1][0], ByteDropout)
    assert model[1][0].p == 0.4
