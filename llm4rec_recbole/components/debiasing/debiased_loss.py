"""Debiasing in EnhancedGenRec: how Eqs. (13)–(18) enter its loss and its scores.

    loss     each target weighs 1 / e(u, i), clipped (13) and self-normalised (14)
             + λ_fair · the loss of an adversary that predicts the group from the score (16, 17)
             + λ_fair · the excess of the parity gap over ε (18)
    scores   terms for taste and for popularity at the time; the ranking mixes P(Y | X) and
             P(Y | do X) (15)

A group is a value of the user column `fairness_groups`, or else of the first of gender, age and
occupation that the data set has. Without any of these columns the groups are item categories.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from llm4rec_recbole.components.debiasing.backdoor import (
    StratifiedScores,
    popularity_periods,
    strata_at_the_time,
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
from llm4rec_recbole.components.training_features import TrainingFeatures
from llm4rec_recbole.errors import InputError

TOLERANCE = 0.05  # ε of (18)
FAIRNESS_LOGITS = 1 << 18  # of a batch: fairness sees every n-th target …
MIN_FAIRNESS_TARGETS = 64  # … but at least so many, in large catalogues
PERIODS = 4  # of popularity
MAX_CATEGORIES = 32  # the most frequent ones, as features of an item's propensity
TEXT_FEATURES = 8  # principal components of the text vectors, the same


class Debiasing(nn.Module):
    """The component. properties/model/EnhancedGenRec.yaml has its options."""

    periods: Tensor
    strata: Tensor
    membership: Tensor

    def __init__(self, features: TrainingFeatures, d: int, config: Any) -> None:
        """d: size of states and items. Raises InputError for groups that the data set lacks."""
        super().__init__()
        periods = popularity_periods(features.times, features.dated, PERIODS)
        strata = strata_at_the_time(
            features.items, periods, features.n_items, config["popularity_strata"]
        )
        self.register_buffer("periods", torch.from_numpy(periods), persistent=False)  # (N,)
        self.register_buffer("strata", torch.from_numpy(strata), persistent=False)  # (T, n_items)
        share = np.bincount(strata[periods, features.items], minlength=strata.max() + 1)
        prior = torch.from_numpy(share / max(share.sum(), 1))
        self.stratified = StratifiedScores(d, prior)
        self.backdoor_weight: float = config["backdoor_weight"]
        self.fairness_weight: float = config["fairness_weight"]
        self._features, self._ips_clip = features, config["ips_clip_quantile"]
        self.per_user, membership = group_membership(features, config["fairness_groups"])
        self.register_buffer("membership", membership, persistent=False)
        self.adversary = GroupAdversary(1, membership.shape[1]) if membership.shape[1] else None

    @cached_property
    def ips_weights(self) -> Tensor:
        """1 / e (13, 14) by training row, (N,); computed at the first use, which is in training."""
        return propensity_weights(self._features, self._ips_clip).to(self.periods.device)

    @property
    def effective_sample_share(self) -> float:
        """Kish's effective sample size of the weights, as a share of the interactions."""
        return effective_sample_share(self.ips_weights)

    def factors(
        self, states: Tensor, table: Tensor, rows: Tensor, ids: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The stratified scores of states (N, d) and items (M, d) as two factors. rows: (N,), the
        targets' rows of the training interactions, which say at what time; ids: the items (M,),
        None for all."""
        strata = self.strata if ids is None else self.strata[:, ids]  # (T, M)
        return self.stratified.factors(states, table, strata, self.periods[rows])

    def target_weights(self, rows: Tensor) -> Tensor:
        """1 / e (13, 14) of the targets, (N,); rows: (N,) rows of the training interactions."""
        return self.ips_weights[rows]

    def scores(self, states: Tensor, table: Tensor) -> Tensor:
        """Log-probabilities of all items, (B, n_items): P(Y | X) and P(Y | do X) mixed (15). P(Y
        | X) has the strata of the last period; P(Y | do X) has those of no time."""
        if self.backdoor_weight == 1:
            return self.stratified.intervene(states, table)
        observed = self.stratified(states, table, self.strata[-1]).log_softmax(1)
        if not self.backdoor_weight:
            return observed
        intervened = self.stratified.intervene(states, table)
        return (1 - self.backdoor_weight) * observed + self.backdoor_weight * intervened

    def fairness_loss(
        self,
        states: Tensor,
        table: Tensor,
        bias: Tensor,
        rows: Tensor,
        users: Tensor,
        targets: Tensor,
    ) -> Tensor | float:
        """L_adv + parity penalty, (17) and (18), of the targets' log-probabilities; 0 without
        groups and where λ_fair is 0.

        states: (N, d) and table: (M, d), the factors of the scores of all items, or of those that
        the batch shares; bias: (M,); rows: (N,), the targets' rows of the table; users, targets:
        (N,), ids.
        """
        if self.adversary is None or not self.fairness_weight:
            return 0.0
        most = max(MIN_FAIRNESS_TARGETS, FAIRNESS_LOGITS // len(table))
        nth = slice(None, None, math.ceil(len(targets) / most))
        scores = log_likelihood(states[nth], table, bias, rows[nth])
        return self.unfairness(scores, users[nth], targets[nth])

    def unfairness(self, scores: Tensor, users: Tensor, items: Tensor) -> Tensor:
        """L_adv of (17) plus the parity penalty of (18), a scalar. scores: r̂ (N,), comparable
        between users, as log-probabilities are; users, items: (N,)."""
        assert self.adversary is not None
        member = self.membership[users if self.per_user else items]  # (N, G)
        loss = adversary_loss(self.adversary(scores[:, None]), member)
        groups = torch.where(member.any(1), member.argmax(1), -1)
        spread = float(scores.detach().std()) if len(scores) > 1 else 0.0
        threshold = threshold_at_share(scores.detach(), 0.5)
        return loss + parity_penalty(scores, groups, threshold, TOLERANCE, max(spread, 1e-6))


def log_likelihood(states: Tensor, items: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """r̂ of (16) to (18): log P(target), (N,). states: (N, d); items: (n_items, d); bias:
    (n_items,); targets: (N,).

    A logit would not do: a constant that is added to all logits of a user changes no probability,
    so fair logits are possible without any change of the recommendations.
    """
    logits = torch.addmm(bias, states, items.T)  # (N, n_items)
    return logits.log_softmax(1).gather(1, targets[:, None])[:, 0]


def propensity_weights(features: TrainingFeatures, clip: float) -> Tensor:
    """1 / max(e, quantile `clip` of e) of every training interaction, (N,) float32 (13, 14)."""
    model = fit_propensity(
        features.users,
        features.items,
        features.n_users,
        features.n_items,
        user_features=user_columns(features),
        item_features=item_columns(features),
        max_pairs=100_000,
    )
    with torch.no_grad():
        e = model(torch.from_numpy(features.users), torch.from_numpy(features.items))
        return inverse_propensity_weights(e, float(np.quantile(e.numpy(), clip)))


def effective_sample_share(weights: Tensor) -> float:
    """(Σ w)² / (N Σ w²) of weights (N,): 1 for equal ones (Kish, 1965); 1 without any."""
    w = weights.double()
    return float(w.sum() ** 2 / (len(w) * (w**2).sum())) if len(w) else 1.0


def user_columns(features: TrainingFeatures) -> np.ndarray:
    """x_u of (13) besides the activity: one column for each group, (n_users, f)."""
    columns = [
        numbers == group
        for numbers in features.user_groups.values()
        for group in range(int(numbers.max(initial=-1)) + 1)
    ]
    return np.stack([np.zeros(features.n_users), *columns], 1)[:, 1:].astype(np.float64)


def item_columns(features: TrainingFeatures) -> np.ndarray:
    """x_i of (13) besides the popularity, (n_items, g): categories, year and mean rating with
    whether they are known, and the main directions of the texts."""
    frequent = np.argsort(-features.categories.sum(0), kind="stable")[:MAX_CATEGORIES]
    content = features.content
    numbers = [content.numbers[:, 1:].numpy(), content.is_number[:, 1:].numpy()]
    text = content.text.numpy()
    centred = np.where(text.any(1, keepdims=True), text - text.mean(0), 0.0)
    _, basis = np.linalg.eigh(centred.T @ centred)
    parts = [features.categories[:, frequent], *numbers, centred @ basis[:, -TEXT_FEATURES:]]
    return np.concatenate(parts, axis=1).astype(np.float64)


def group_membership(features: TrainingFeatures, attribute: str | None) -> tuple[bool, Tensor]:
    """Whether the groups are groups of users, and the membership (n, G) float32, zeros for no
    group.

    A user is in one group. An item is shared equally among its categories. attribute: of the users;
    None is the first one. Raises InputError for an attribute that the data set lacks.
    """
    groups = features.user_groups
    if attribute is not None and attribute not in groups:
        raise InputError(
            f"fairness_groups is {attribute}, which the data set's .user file does not have",
            hint=f"it has {', '.join(groups) or 'no groups'}",
        )
    if groups:
        numbers = groups[attribute or next(iter(groups))]
        hot = np.zeros((len(numbers), int(numbers.max()) + 1), dtype=np.float32)
        hot[numbers >= 0, numbers[numbers >= 0]] = 1
        return True, torch.from_numpy(hot)
    share = features.categories / np.maximum(features.categories.sum(1, keepdims=True), 1)
    return False, torch.from_numpy(share.astype(np.float32))
