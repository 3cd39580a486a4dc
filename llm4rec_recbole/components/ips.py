"""Inverse propensity scoring: what is rarely observed counts for more (Eq. 14).

Observed pairs are no random sample of all pairs. With e(u, i) = P(observed), a sum over the
observed ones weighted by 1 / e has the sum over all pairs as its expectation, whatever decides
what is observed, as long as e > 0 everywhere (Schnabel et al., ICML 2016).
"""

from __future__ import annotations

import torch


def inverse_propensity_weights(propensities: torch.Tensor, clip: float = 0.0) -> torch.Tensor:
    """1 / max(e, clip), of any shape.

    No weight exceeds 1 / clip: that bounds the variance, and it biases the estimate towards the
    naive mean. With `clip` 0 the propensities must be above 0.
    """
    return 1 / propensities.clamp(min=clip)


def ips_loss(
    losses: torch.Tensor,
    propensities: torch.Tensor,
    clip: float = 0.0,
    population: int | None = None,
) -> torch.Tensor:
    """Eq. 14: 1/|D| Σ ℓ / e over the observed pairs, a scalar.

    losses, propensities: (N,). The paper divides by |D|, the number of observed pairs, which is the
    default here. That has the right minimiser, but it estimates the mean loss over all pairs only
    when divided by how many pairs there are: give that as `population`.
    """
    weights = inverse_propensity_weights(propensities, clip)  # (N,)
    return (weights * losses).sum() / (len(losses) if population is None else population)


def self_normalised_ips_loss(
    losses: torch.Tensor, propensities: torch.Tensor, clip: float = 0.0
) -> torch.Tensor:
    """Eq. 14 divided by its own weights: Σ ℓ / e over Σ 1 / e, a scalar (Swaminathan & Joachims).

    losses, propensities: (N,). It lies between the smallest and the largest loss, needs no count
    of all pairs, is unmoved when every propensity is off by one factor, and has less variance than
    Eq. 14, at the price of a bias that vanishes as N grows.
    """
    weights = inverse_propensity_weights(propensities, clip)  # (N,)
    return (weights * losses).sum() / weights.sum()
