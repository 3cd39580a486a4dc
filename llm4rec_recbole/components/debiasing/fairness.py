"""Fairness: an adversary that must not find the group (Eqs. 16-17), and parity (Eq. 18).

    state or score ──▶ recommender's loss  L_rec
          └─▶ gradient reversal ─▶ adversary ─▶ L_adv = cross-entropy of the group

The adversary descends L_adv, and what lies before the reversal ascends it. Without the reversal,
Eq. 16 as printed (L_rec + λ L_adv, both minimised by the recommender) would reward a state that
tells the group.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return -gradients[0]


def reverse_gradient(x: torch.Tensor) -> torch.Tensor:
    """`x` itself; its gradient comes back negated (Ganin & Lempitsky, ICML 2015)."""
    return _Reversal.apply(x)


class GroupAdversary(nn.Module):
    """Predicts the group from a score (d = 1) or a state (d > 1), against whoever made it.

    A score is squeezed, so hiding the group in it is possible and pays. A state that keeps all of
    its input gives a fully trained adversary the same loss however small the group's trace is, and
    then no gradient comes back: prefer scores, or a state narrower than what it is made from.
    """

    def __init__(self, dim: int, n_groups: int, hidden: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, n_groups))

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Logits of the groups (N, G), from (N, d) through a reversed gradient."""
        return self.layers(reverse_gradient(seen))


def adversary_loss(logits: torch.Tensor, membership: torch.Tensor) -> torch.Tensor:
    """Eq. 17: −Σ_s P(S = s) log P(S = s | r̂), the mean over those whose group is known.

    logits: (N, G); membership: (N, G), P(S = s) of each one: a 1 for a user's own group, shares for
    an item of several categories, zeros where nothing is known. P(S) is read as that of the one
    who is scored: with the same P(S) for all, the best adversary would answer it whatever r̂ is.
    Returns a scalar, 0 when no group is known.
    """
    each = -(membership * logits.log_softmax(1)).sum(1)  # (N,)
    return each.sum() / (membership > 0).any(1).sum().clamp(min=1)


def fair_loss(
    recommendation: torch.Tensor, adversary: torch.Tensor, fairness: float
) -> torch.Tensor:
    """Eq. 16: L = L_rec + λ_fair L_adv, scalars. λ_fair scales the adversary's own rate as well."""
    return recommendation + fairness * adversary


def exceedance(scores: torch.Tensor, groups: torch.Tensor, threshold: float) -> torch.Tensor:
    """P(r̂ > τ | s) for each group that occurs, (G,), from scores (N,) and groups (N,) int64."""
    return _group_means((scores > threshold).to(scores.dtype), groups)


def demographic_parity_gap(
    scores: torch.Tensor, groups: torch.Tensor, threshold: float
) -> torch.Tensor:
    """Eq. 18, left side: the largest |P(r̂ > τ | s) − P(r̂ > τ | s')| of two groups, a scalar.

    scores: (N,); groups: (N,) int64, negative where unknown. 0 when fewer than two groups occur.
    """
    return _largest_difference(exceedance(scores, groups, threshold))


def satisfies_parity(
    scores: torch.Tensor, groups: torch.Tensor, threshold: float, tolerance: float
) -> bool:
    """Eq. 18: whether the gap is at most ε."""
    return bool(demographic_parity_gap(scores, groups, threshold) <= tolerance)


def soft_parity_gap(
    scores: torch.Tensor, groups: torch.Tensor, threshold: float, temperature: float
) -> torch.Tensor:
    """Eq. 18's gap with σ((r̂ − τ) / temperature) for the step, so that it can be trained on.

    Tends to the gap itself as the temperature tends to 0; far from τ the gradient vanishes, so the
    temperature should be about the spread of the scores.
    """
    return _largest_difference(
        _group_means(torch.sigmoid((scores - threshold) / temperature), groups)
    )


def parity_penalty(
    scores: torch.Tensor,
    groups: torch.Tensor,
    threshold: float,
    tolerance: float,
    temperature: float,
) -> torch.Tensor:
    """Eq. 18 as a loss: what the soft gap exceeds ε by, 0 within it; a scalar."""
    return (soft_parity_gap(scores, groups, threshold, temperature) - tolerance).clamp(min=0)


def threshold_at_share(scores: torch.Tensor, share: float) -> float:
    """The τ that `share` of the scores exceed: k / n_items makes Eq. 18 speak of top-k lists.

    scores: any shape; 0 <= share < 1. Fewer exceed it where scores are tied with it.
    """
    above = round(share * scores.numel())
    return float(scores.flatten().kthvalue(scores.numel() - above).values)


def _group_means(values: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """The mean of values (N,) in each group that occurs, (G,)."""
    known = groups >= 0
    values, groups = values[known], groups[known]
    size = int(groups.max()) + 1 if len(groups) else 0
    sums = values.new_zeros(size).index_add(0, groups, values)
    counts = values.new_zeros(size).index_add(0, groups, torch.ones_like(values))
    return sums[counts > 0] / counts[counts > 0]


def _largest_difference(means: torch.Tensor) -> torch.Tensor:
    return means.max() - means.min() if len(means) else means.new_zeros(())
