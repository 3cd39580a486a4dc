"""Fairness: an adversary that predicts the group (Eqs. 16–17), and parity (Eq. 18).

    state or score ──▶ recommender's loss  L_rec
          └─▶ gradient reversal ─▶ adversary ─▶ L_adv = cross-entropy of the group

The adversary minimises L_adv; the parameters before the reversal maximise it. Without the reversal,
Eq. (16) as printed (L_rec + λ L_adv, both minimised by the recommender) would reward states that
reveal the group.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def reverse_gradient(x: Tensor) -> Tensor:
    """`x`, with its gradient negated (Ganin & Lempitsky, ICML 2015)."""
    return 2 * x.detach() - x  # exactly x


class GroupAdversary(nn.Module):
    """Predicts the group from a score (d = 1) or a state (d > 1).

    Prefer scores: the group can be removed from one dimension. If a state keeps all of its input, a
    fully trained adversary has the same loss for every size of the group's trace. The gradient then
    vanishes.
    """

    def __init__(self, dim: int, n_groups: int, hidden: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, n_groups))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of the groups (N, G), from (N, d) through a reversed gradient."""
        return self.layers(reverse_gradient(inputs))


def adversary_loss(logits: Tensor, membership: Tensor) -> Tensor:
    """Eq. (17): −Σ_s P(S = s) log P(S = s | r̂), the mean over the rows with a known group; a
    scalar.

    logits: (N, G); membership: (N, G), P(S = s) of each row's user or item: 1 for a user's group,
    shares for an item of several categories, zeros if unknown. With one P(S) for all rows, the best
    adversary would predict it for every r̂.
    """
    losses = -(membership * logits.log_softmax(1)).sum(1)  # (N,)
    return losses.sum() / (membership > 0).any(1).sum().clamp(min=1)


def fair_loss(recommendation: Tensor, adversary: Tensor, fairness: float) -> Tensor:
    """Eq. (16): L = L_rec + λ_fair L_adv, scalars. λ_fair scales the adversary's gradient, too."""
    return recommendation + fairness * adversary


def exceedance(scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """P(r̂ > τ | s) for each group that occurs, (G,), from scores (N,) and groups (N,) int64."""
    return _group_means((scores > threshold).to(scores.dtype), groups)


def demographic_parity_gap(scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """Eq. (18), left side: the largest |P(r̂ > τ | s) − P(r̂ > τ | s')| of two groups, a scalar.

    scores: (N,); groups: (N,) int64, negative where unknown. 0 when fewer than two groups occur.
    """
    return _largest_difference(exceedance(scores, groups, threshold))


def soft_parity_gap(scores: Tensor, groups: Tensor, threshold: float, temperature: float) -> Tensor:
    """The gap of Eq. (18) with σ((r̂ − τ) / temperature) for the step function: differentiable. Far
    from τ the gradient vanishes, so the temperature should be about the scores' standard deviation.
    """
    return _largest_difference(
        _group_means(torch.sigmoid((scores - threshold) / temperature), groups)
    )


def parity_penalty(
    scores: Tensor, groups: Tensor, threshold: float, tolerance: float, temperature: float
) -> Tensor:
    """Eq. (18) as a loss: the excess of the soft gap over ε, at least 0; a scalar."""
    return (soft_parity_gap(scores, groups, threshold, temperature) - tolerance).clamp(min=0)


def threshold_at_share(scores: Tensor, share: float) -> float:
    """The τ that `share` (0 <= share < 1) of the scores exceed, fewer if several equal it. With
    share = k / n_items, (18) is about top-k lists."""
    above = round(share * scores.numel())
    return float(scores.flatten().kthvalue(scores.numel() - above).values)


def _group_means(values: Tensor, groups: Tensor) -> Tensor:
    """The mean of values (N,) in each group that occurs, (G,)."""
    has_group = groups >= 0
    values, groups = values[has_group], groups[has_group]
    size = int(groups.max()) + 1 if len(groups) else 0
    sums = values.new_zeros(size).index_add(0, groups, values)
    counts = values.new_zeros(size).index_add(0, groups, torch.ones_like(values))
    return sums[counts > 0] / counts[counts > 0]


def _largest_difference(means: Tensor) -> Tensor:
    return means.max() - means.min() if len(means) else means.new_zeros(())
