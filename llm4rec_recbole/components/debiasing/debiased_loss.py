"""Debiasing within EnhancedGenRec: Eqs. (13)–(18) where they act on its loss and its scores.

    loss     each target weighs 1 / e(u, i), self-normalised and clipped (13, 14)
             + λ_fair · an adversary's loss, who tells the group from the score (16, 17)
             + λ_fair · what the parity gap exceeds ε by (18)
    scores   taste and popularity apart; the ranking mixes P(Y | X) and P(Y | do X) (15)

The groups are the users' where the data set knows any (of the attribute that `fairness_groups`
names, else the first of gender, age, occupation), else the items' categories.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from llm4rec_recbole.components.debiasing.backdoor import (
    StratifiedScores,
    popularity_strata,
    stratum_prior,
)
from llm4rec_recbole.components.debiasing.fairness import (
    GroupAdversary,
    adversary_loss,
    parity_penalty,
    threshold_at_share,
)
from llm4rec_recbole.components.debiasing.propensity import (
    fit_propensity,
    inverse_propensity_weights,
)
from llm4rec_recbole.components.training_features import Knowledge
from llm4rec_recbole.errors import InputError

TOLERANCE = 0.05  # ε of (18)


class Debiasing(nn.Module):
    """d: of states and items. Options: popularity_strata, adjustment (share of P(Y | do X) in the
    ranking), ips_clip_quantile (quantile of the propensities below which they are clipped; 1
    weighs all
    alike), fairness (λ_fair) and fairness_groups (see the head of this file)."""

    strata: torch.Tensor
    ips_weights: torch.Tensor
    membership: torch.Tensor

    def __init__(self, known: Knowledge, d: int, config: Any) -> None:
        super().__init__()
        strata = popularity_strata(known.counts, config["popularity_strata"])
        self.register_buffer("strata", torch.from_numpy(strata), persistent=False)
        self.stratified = StratifiedScores(d, torch.from_numpy(stratum_prior(strata, known.counts)))
        self.adjustment: float = config["backdoor_weight"]
        self.fairness: float = config["fairness_weight"]
        weights = propensity_weights(known, config["ips_clip_quantile"])
        self.register_buffer("ips_weights", weights, persistent=False)  # (N,), by training row
        self.of_users, membership = group_membership(known, config["fairness_groups"])
        self.register_buffer("membership", membership, persistent=False)
        self.adversary = GroupAdversary(1, membership.shape[1]) if membership.shape[1] else None

    def factors(
        self, states: torch.Tensor, table: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """States (N, d) and items (n_items, d) as two factors of the stratified scores."""
        return self.stratified.factors(states, table, self.strata)

    def scores(self, states: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of all items (B, n_items): as observed and intervened on, mixed."""
        observed = self.stratified(states, table, self.strata).log_softmax(1)
        if not self.adjustment:
            return observed
        intervened = self.stratified.intervene(states, table)
        return (1 - self.adjustment) * observed + self.adjustment * intervened

    @property
    def is_fair(self) -> bool:
        """Whether fairness has a say in the loss: groups are known, and λ_fair is not 0."""
        return self.adversary is not None and self.fairness > 0

    def fairness_loss(
        self, scores: torch.Tensor, users: torch.Tensor, items: torch.Tensor
    ) -> torch.Tensor:
        """λ_fair (L_adv + parity penalty), a scalar, of scores r̂ (N,), of users and items (N,).

        Scores must be comparable between users, as `log_likelihood` is.
        """
        if self.adversary is None or not self.fairness:
            return scores.new_zeros(())
        member = self.membership[users if self.of_users else items]  # (N, G)
        loss = adversary_loss(self.adversary(scores[:, None]), member)
        groups = torch.where(member.any(1), member.argmax(1), -1)
        spread = float(scores.detach().std())
        threshold = threshold_at_share(scores.detach(), 0.5)
        penalty = parity_penalty(scores, groups, threshold, TOLERANCE, max(spread, 1e-6))
        return self.fairness * (loss + penalty)


def log_likelihood(
    states: torch.Tensor, items: torch.Tensor, bias: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """log P(target), (N,), by states (N, d), items (n_items, d), bias (n_items,), targets (N,).

    r̂ of (16) to (18). A logit would not do: the same number added to all of a user's logits changes
    no probability, and so fairness of logits could be had without any of what is recommended.
    """
    logits = torch.addmm(bias, states, items.T)  # (N, n_items)
    return logits.log_softmax(1).gather(1, targets[:, None])[:, 0]


def propensity_weights(known: Knowledge, clip: float) -> torch.Tensor:
    """1 / max(e, its quantile `clip`) of every training interaction, (N,) float32 (13, 14)."""
    model = fit_propensity(known.users, known.items, known.n_users, known.n_items)
    with torch.no_grad():
        e = model(torch.from_numpy(known.users), torch.from_numpy(known.items))
        return inverse_propensity_weights(e, float(np.quantile(e.numpy(), clip)))


def group_membership(known: Knowledge, attribute: str | None) -> tuple[bool, torch.Tensor]:
    """Whether the groups are of users, and the share of each group in each of them (or in each
    item), (n, G) float32, zeros where unknown; G is 0 where neither is known.

    attribute: of the users, None for the first known. Raises InputError for one that is not known.
    """
    if attribute is not None and attribute not in known.user_groups:
        there = ", ".join(known.user_groups) or "nothing"
        raise InputError(
            f"fairness_groups is {attribute}, which the users' file does not tell",
            hint=f"of its users the data set knows {there}",
        )
    if known.user_groups:
        numbers = known.user_groups[attribute or next(iter(known.user_groups))]
        hot = np.zeros((len(numbers), numbers.max() + 1), dtype=np.float32)
        hot[numbers >= 0, numbers[numbers >= 0]] = 1
        return True, torch.from_numpy(hot)
    share = known.categories / np.maximum(known.categories.sum(1, keepdims=True), 1)
    return False, torch.from_numpy(share.astype(np.float32))
