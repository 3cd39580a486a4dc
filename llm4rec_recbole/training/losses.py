"""Losses over the catalogue, by the option `loss`: softmax over all items, or sampled negatives.

    logits = x Wᵀ + b      s⁺ = logits[target]      w = the weight of a target
    full      Σ w (logsumexp(logits) − s⁺) / Σ w
    sampled   the same over m negatives instead of all items; each counts 1 / (m q) times
    sce       the same, with each negative counting α times               (arXiv 2402.06216)
    gbce      −(β log σ(s⁺) + Σ log σ(−s⁻)) / (m + 1)                     (arXiv 2308.07192)

The gradient of a softmax is known as soon as its logits are:

    ∂loss/∂logits ∝ w (softmax(logits) − onehot(target))

So the forward pass computes both and no logits are stored. The full softmax does it chunk by chunk:
2.5 times faster than autograd on a CPU, in the memory of one chunk, whatever the catalogue.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

MAX_LOGITS = 1 << 19  # logits of a chunk on a CPU: about a core's cache
MAX_LOGITS_ON_GPU = 1 << 26  # a quarter of a gigabyte
MIN_ROWS = 32  # with fewer rows a chunk is bounded by reading W, not by its products
ROWS = 64


def rows_in_a_chunk(n_items: int, on_gpu: bool) -> int:
    """Rows of logits that are computed together. A chunk of fewer than 64 rows is 2 to 4 times
    slower at 59,000 items and more. Up to 16,384 items, sums round as in the committed records."""
    if on_gpu:
        return max(ROWS, MAX_LOGITS_ON_GPU // n_items)
    rows = MAX_LOGITS // n_items
    return rows if rows >= MIN_ROWS else ROWS


class _KnownGradient(torch.autograd.Function):
    """`forward` saves the gradients of states, weight and bias, its first inputs, × ctx.total."""

    @staticmethod
    def backward(ctx: Any, *d_loss: Tensor) -> tuple[Tensor | None, ...]:
        scale = d_loss[0] / ctx.total
        gradients = [None if g is None else g * scale for g in ctx.saved_tensors]
        return (*gradients, *[None] * (len(ctx.needs_input_grad) - 3))


class _FullCrossEntropy(_KnownGradient):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,  # (N, d)
        weight: Tensor,  # (n_items, d)
        bias: Tensor | None,  # (n_items,)
        targets: Tensor,  # (N,)
        row_weights: Tensor | None,  # (N,)
    ) -> Tensor:
        n, n_items = len(targets), len(weight)
        d_states = torch.empty_like(states)
        d_weight = torch.zeros_like(weight)
        d_bias = None if bias is None else torch.zeros_like(bias)
        loss = states.new_zeros(())
        step = rows_in_a_chunk(n_items, states.device.type == "cuda")
        for start in range(0, n, step):
            rows = slice(start, start + step)
            x, target = states[rows], targets[rows, None]  # (C, d), (C, 1)
            logits = x @ weight.T if bias is None else torch.addmm(bias, x, weight.T)
            total = logits.logsumexp(1, keepdim=True)  # (C, 1)
            losses = total - logits.gather(1, target)  # (C, 1)
            d_logits = logits.sub_(total).exp_()  # (C, n_items), in place
            d_logits.scatter_add_(1, target, d_logits.new_full(target.shape, -1.0))
            if row_weights is not None:
                losses = losses * row_weights[rows, None]
                d_logits *= row_weights[rows, None]
            loss += losses.sum()
            torch.mm(d_logits, weight, out=d_states[rows])
            d_weight.addmm_(d_logits.T, x)
            if d_bias is not None:
                d_bias += d_logits.sum(0)
        ctx.save_for_backward(d_states, d_weight, d_bias)
        ctx.total = n if row_weights is None else row_weights.sum()
        return loss / ctx.total


def full_cross_entropy(
    states: Tensor,
    weight: Tensor,
    targets: Tensor,
    bias: Tensor | None = None,
    row_weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy of `targets` (N,) under softmax(states @ weight.T + bias), a scalar.

    states: (N, d), N > 0; weight: (n_items, d); bias: (n_items,) or None; row_weights: (N,), the
    weight of each target in the mean, None for equal weights. Differentiable once.
    """
    return _FullCrossEntropy.apply(states, weight, bias, targets, row_weights)


class _SampledCrossEntropy(_KnownGradient):
    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,  # (N, d)
        weight: Tensor,  # (n_items, d)
        bias: Tensor | None,  # (n_items,)
        targets: Tensor,  # (N,)
        row_weights: Tensor | None,  # (N,)
        negatives: Tensor,  # (m,)
        log_counts: Tensor,  # (m,)
    ) -> Tensor:
        items = torch.cat([targets, negatives])  # (N + m,)
        n, vectors = len(targets), weight[items]  # (N + m, d)
        positive = (states * vectors[:n]).sum(1, keepdim=True)  # (N, 1)
        if bias is not None:
            positive = positive + bias[targets, None]
            log_counts = log_counts + bias[negatives]
        logits = torch.addmm(log_counts, states, vectors[n:].T)  # (N, m)
        logits.masked_fill_(negatives == targets[:, None], -torch.inf)
        total = torch.logaddexp(logits.logsumexp(1, keepdim=True), positive)  # (N, 1)
        losses = total - positive  # (N, 1)
        d_logits = logits.sub_(total).exp_()  # (N, m), in place
        d_positive = (positive - total).expm1()  # (N, 1)
        if row_weights is not None:
            losses = losses * row_weights[:, None]
            d_logits *= row_weights[:, None]
            d_positive = d_positive * row_weights[:, None]
        d_states = torch.addmm(d_positive * vectors[:n], d_logits, vectors[n:])
        d_vectors = torch.cat([d_positive * states, d_logits.T @ states])  # (N + m, d)
        d_weight = torch.zeros_like(weight).index_add_(0, items, d_vectors)
        d_bias = None if bias is None else torch.zeros_like(bias)
        if d_bias is not None:
            d_bias.index_add_(0, items, torch.cat([d_positive[:, 0], d_logits.sum(0)]))
        ctx.save_for_backward(d_states, d_weight, d_bias)
        ctx.total = n if row_weights is None else row_weights.sum()
        return losses.sum() / ctx.total


def sampled_cross_entropy(
    states: Tensor,
    weight: Tensor,
    targets: Tensor,
    negatives: Tensor,
    log_counts: Tensor,
    bias: Tensor | None = None,
    row_weights: Tensor | None = None,
) -> Tensor:
    """Mean cross-entropy of `targets` (N,) against the negatives that they share, a scalar.

        logsumexp(s⁺, s⁻ + log_counts) − s⁺

    negatives: (m,) item ids; log_counts: (m,), the log of how many items each stands for. With
    −log(m q), where q is a negative's probability to be drawn, the sum over the negatives has the
    expectation of the sum over the catalogue (Bengio & Senécal 2008). A negative that equals a
    row's target does not count in that row. Other arguments: see `full_cross_entropy`.
    """
    return _SampledCrossEntropy.apply(
        states, weight, bias, targets, row_weights, negatives, log_counts.to(states.dtype)
    )


def gbce(
    states: Tensor,
    weight: Tensor,
    targets: Tensor,
    negatives: Tensor,
    beta: float,
    bias: Tensor | None = None,
    row_weights: Tensor | None = None,
) -> Tensor:
    """Generalised binary cross-entropy (Petrov & Macdonald, RecSys 2023, Eq. 17), a scalar.

        −(β log σ(s⁺) + Σ log σ(−s⁻)) / (m + 1)

    beta: see `gbce_power`. negatives: (m,) item ids; one that equals a row's target does not count
    in that row. Other arguments: see `full_cross_entropy`.
    """
    n, m = len(targets), len(negatives)
    vectors = functional.embedding(torch.cat([targets, negatives]), weight)  # (N + m, d)
    positive = (states * vectors[:n]).sum(1)  # (N,)
    logits = states @ vectors[n:].T  # (N, m)
    if bias is not None:
        positive, logits = positive + bias[targets], logits + bias[negatives]
    logits = logits.masked_fill(negatives == targets[:, None], -torch.inf)
    losses = -beta * functional.logsigmoid(positive) - functional.logsigmoid(-logits).sum(1)
    losses = losses / (m + 1)
    if row_weights is None:
        return losses.mean()
    return (row_weights * losses).sum() / row_weights.sum()


def gbce_power(num_negatives: int, n_items: int, calibration: float) -> float:
    """β = α (t (1 − 1/α) + 1/α), where α is the share of the other items that is sampled.

    calibration: t. At 0 β is 1, the plain binary cross-entropy. At 1 β is α, and the probabilities
    are calibrated. n_items counts the pad.
    """
    alpha = min(1.0, num_negatives / max(1, n_items - 2))
    return alpha * (calibration * (1 - 1 / alpha) + 1 / alpha)


# The loss that the option `loss` names, with the negatives that it draws.

#: Negatives (m,), and the log of how many items each stands for, (m,).
Drawn = tuple[Tensor, Tensor]

FULL_UP_TO = 4096  # items, pad included: with more the option `loss: auto` samples negatives


def catalogue_loss(config: Any, dataset: Any) -> Callable[..., Tensor]:
    """The loss of LossOptions (training/options.py), called as full_cross_entropy. dataset:
    RecBole's training data."""
    name = config["loss"] or "auto"
    if name == "auto":
        name = "full" if dataset.item_num <= FULL_UP_TO else "sampled"
    if name == "full":
        return full_cross_entropy
    items = dataset.inter_feat[dataset.iid_field].numpy()
    return SampledLoss(name, config, np.bincount(items, minlength=dataset.item_num))


class SampledLoss:
    """A loss over sampled negatives, which all targets of a batch share. They come from torch's
    global generator, whose state is part of every checkpoint."""

    def __init__(self, name: str, config: Any, counts: np.ndarray) -> None:
        """name: sampled, gbce or sce; counts: (n_items,), the training interactions of each
        item; item 0 is the pad."""
        self.name = name
        self.size: int = config["num_negatives"]
        self.source: str = config["negatives"]
        self.n_items = len(counts)
        self.log_scale: float = math.log(config["sce_scale"])
        self.beta = gbce_power(self.size, self.n_items, config["gbce_calibration"])
        # An item without interactions counts as one, so that every item can be a negative.
        shares = np.maximum(counts, 1.0)
        shares[0] = 0
        self.shares = torch.from_numpy(shares / shares.sum())  # (n_items,) float64
        self.cumulative = self.shares.cumsum(0)

    def __call__(
        self,
        states: Tensor,
        weight: Tensor,
        targets: Tensor,
        *others: Any,
        drawn: Drawn | None = None,
    ) -> Tensor:
        """The mean loss, a scalar; arguments as of full_cross_entropy. drawn: negatives as rows of
        `weight` with their log counts; None draws them here."""
        negatives, log_counts = self.draw(targets) if drawn is None else drawn
        if self.name == "gbce":
            return gbce(states, weight, targets, negatives, self.beta, *others)
        if self.name == "sce":
            log_counts = torch.full_like(log_counts, self.log_scale)
        return sampled_cross_entropy(states, weight, targets, negatives, log_counts, *others)

    def draw(self, targets: Tensor) -> Drawn:
        """Negatives (m,) for all of `targets` (N,), and −log(m q) of each, (m,); never the pad.

        Drawn with replacement. With `in_batch` m is at most N: the negatives are targets of the
        batch, and q is their share of the training interactions.
        """
        if self.source == "uniform":
            negatives = torch.randint(1, self.n_items, (self.size,), device=targets.device)
            log_count = math.log((self.n_items - 1) / self.size)
            return negatives, torch.full((self.size,), log_count, device=targets.device)
        if self.source == "in_batch":
            order = torch.randperm(len(targets))[: self.size]
            negatives = targets[order.to(targets.device)]
        else:
            draws = torch.rand(self.size, dtype=torch.float64)
            items = torch.searchsorted(self.cumulative, draws, right=True)
            negatives = items.clamp_(1, self.n_items - 1).to(targets.device)
        q = self.shares.to(targets.device)[negatives]
        return negatives, -(len(negatives) * q).log()
