"""Causal debiasing (Eqs. 13-18): the paper's third component, each part in a file of its own.

propensity.py   (13)     how likely a pair is to be observed, with its calibration
ips.py          (14)     losses weighted by the inverse propensity
backdoor.py     (15)     scores averaged over popularity strata
fairness.py     (16-18)  an adversary behind a reversed gradient, and demographic parity
"""

from __future__ import annotations

from llm4rec_recbole.components.backdoor import (
    StratifiedScores,
    backdoor_adjustment,
    popularity_strata,
    stratum_prior,
)
from llm4rec_recbole.components.fairness import (
    GroupAdversary,
    adversary_loss,
    demographic_parity_gap,
    fair_loss,
    parity_penalty,
    satisfies_parity,
    soft_parity_gap,
    threshold_at_share,
)
from llm4rec_recbole.components.ips import (
    inverse_propensity_weights,
    ips_loss,
    self_normalised_ips_loss,
)
from llm4rec_recbole.components.propensity import PropensityModel, fit_propensity

__all__ = [
    "GroupAdversary",
    "PropensityModel",
    "StratifiedScores",
    "adversary_loss",
    "backdoor_adjustment",
    "demographic_parity_gap",
    "fair_loss",
    "fit_propensity",
    "inverse_propensity_weights",
    "ips_loss",
    "parity_penalty",
    "popularity_strata",
    "satisfies_parity",
    "self_normalised_ips_loss",
    "soft_parity_gap",
    "stratum_prior",
    "threshold_at_share",
]
