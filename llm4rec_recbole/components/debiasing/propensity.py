"""Propensity: the probability that a (user, item) pair is observed (13), and its use (14).

    logit e(u, i) = c + α · x_u + β · x_i + γ a_u p_i

    a_u, p_i   log(1 + activity of the user), log(1 + popularity of the item), standardised
    x_u, x_i   a_u, a_u² and the user's features;  p_i, p_i² and the item's features

Nearly all pairs are unobserved, so the model is fitted to a sample: observed pairs at a rate π₁,
the others at a rate π₀. This multiplies the odds of every pair by π₁ / π₀. The offset log(π₁ / π₀)
corrects a logistic model exactly for it (Prentice & Pyke, 1979; King & Zeng, 2001).

Inverse propensity scoring weights the loss of each observed pair by 1 / e. If e > 0 everywhere, the
expectation of their sum is the sum over all pairs (Schnabel et al., ICML 2016).

Calibration: is the share p observed among the pairs with predicted probability p? A model that
predicts the base rate for every pair is perfectly calibrated and useless. The skill therefore
complements the calibration error: how far the log loss is below the log loss of such a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from llm4rec_recbole.errors import InputError


class ObservedPairs:
    """A set of (user, item) pairs. Ids are internal; no pair has the pad, 0.

    users, items: (N,) integers, repeats allowed; n_users, n_items include the pad. Raises
    InputError when there are no pairs, or an id lies outside 1 .. n - 1.
    """

    def __init__(self, users: np.ndarray, items: np.ndarray, n_users: int, n_items: int) -> None:
        for name, ids, n in (("user", users, n_users), ("item", items, n_items)):
            if len(ids) and not (ids.min() >= 1 and ids.max() < n):
                raise InputError(f"a {name} id lies outside 1 .. {n - 1}")
        if not len(users):
            raise InputError("there are no interactions")
        self.n_users, self.n_items = n_users, n_items
        self._keys = np.unique(users.astype(np.int64) * n_items + items)  # (P,), sorted

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def users(self) -> np.ndarray:
        """The user of each distinct pair, (P,), ascending."""
        return self._keys // self.n_items

    @property
    def items(self) -> np.ndarray:
        """The item of each distinct pair, (P,)."""
        return self._keys % self.n_items

    @property
    def n_unobserved(self) -> int:
        """The number of unobserved pairs of a user and an item, without pads."""
        return (self.n_users - 1) * (self.n_items - 1) - len(self)

    def activity(self) -> np.ndarray:
        """The number of distinct items of each user, (n_users,) int64."""
        return np.bincount(self.users, minlength=self.n_users)

    def popularity(self) -> np.ndarray:
        """The number of distinct users of each item, (n_items,) int64."""
        return np.bincount(self.items, minlength=self.n_items)

    def contains(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether each pair was observed: (N,) bool from users (N,) and items (N,)."""
        keys = np.asarray(users, dtype=np.int64) * self.n_items + items
        index = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return self._keys[index] == keys

    def draw_unobserved(self, n: int, random: np.random.Generator) -> np.ndarray:
        """Draw `n` unobserved pairs, uniformly and with replacement: (2, n) int64. Raises
        InputError when every pair was observed."""
        if not self.n_unobserved:
            raise InputError("every user has interacted with every item")
        if len(self) > self.n_unobserved:  # few are unobserved: list them
            all_keys = np.arange(1, self.n_users)[:, None] * self.n_items + np.arange(
                1, self.n_items
            )
            keys = random.choice(np.setdiff1d(all_keys, self._keys, assume_unique=True), n)
            return np.stack([keys // self.n_items, keys % self.n_items])
        pairs = np.zeros((2, n), dtype=np.int64)
        missing = np.arange(n)
        while len(missing):
            pairs[0, missing] = random.integers(1, self.n_users, len(missing))
            pairs[1, missing] = random.integers(1, self.n_items, len(missing))
            missing = missing[self.contains(*pairs[:, missing])]
        return pairs


MAX_STEPS = 50
MAX_HALVINGS = 30
TOLERANCE = 1e-8  # of the largest entry of the gradient, per observation
HELD_OUT_SHARE = 0.2  # of the sampled pairs: not fitted, they measure the calibration
MIN_HELD_OUT = 50  # observed pairs; with fewer all are fitted and the calibration is None


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-logits)), without overflow."""
    small = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1.0, small) / (1 + small)


def fit_logistic(
    features: np.ndarray,
    outcomes: np.ndarray,
    offsets: np.ndarray | float = 0.0,
    ridge: float = 1e-6,
) -> np.ndarray:
    """Fit P(O = 1) = σ(features @ c + offset) by Newton's method; returns c (p,).

    features: (N, p), with a column of ones for an intercept; outcomes: (N,) 0 or 1. The penalty
    `ridge` / 2 · |c|² gives collinear columns and separable outcomes a solution. A step that would
    raise the loss is halved until it does not.
    """
    coefficients = np.zeros(features.shape[1])
    value = _penalised_loss(features, outcomes, offsets, ridge, coefficients)
    for _ in range(MAX_STEPS):
        probabilities = sigmoid(features @ coefficients + offsets)  # (N,)
        gradient = features.T @ (probabilities - outcomes) / len(outcomes) + ridge * coefficients
        if np.abs(gradient).max() < TOLERANCE:
            break
        curvature = probabilities * (1 - probabilities)  # (N,)
        hessian = (features.T * curvature) @ features / len(outcomes)  # (p, p)
        step = np.linalg.solve(hessian + ridge * np.eye(len(gradient)), gradient)
        for _ in range(MAX_HALVINGS):
            new = coefficients - step
            new_value = _penalised_loss(features, outcomes, offsets, ridge, new)
            if new_value <= value:
                break
            step = step / 2
        coefficients, value = new, new_value
    return coefficients


def _penalised_loss(
    features: np.ndarray,
    outcomes: np.ndarray,
    offsets: np.ndarray | float,
    ridge: float,
    coefficients: np.ndarray,
) -> float:
    logits = features @ coefficients + offsets  # (N,)
    loss = np.logaddexp(0, logits) - outcomes * logits
    return float(loss.mean() + ridge / 2 * coefficients @ coefficients)


@dataclass(frozen=True)
class Calibration:
    """The quality of a probability model on pairs that it was not fitted to."""

    error: float  # expected calibration error, 0 is best
    skill: float  # 1 − log loss / log loss of the base rate; 0 is the base rate, 1 is best
    predicted_rate: float
    observed_rate: float


def calibration(
    probabilities: np.ndarray,
    outcomes: np.ndarray,
    weights: np.ndarray | None = None,
    n_bins: int = 10,
) -> Calibration:
    """Compare probabilities (N,) with outcomes (N,), 0 or 1, each of `weights` (N,), default 1.

    The error is Σ over bins of share · |observed − predicted| (Naeini, Cooper & Hauskrecht, 2015).
    Bins have about equal weight, and equal probabilities share a bin.
    """
    weights = np.ones(len(outcomes)) if weights is None else weights
    order = np.argsort(probabilities, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()  # (N,)
    first = np.searchsorted(below, np.arange(1, n_bins) / n_bins)
    edges = probabilities[order][np.minimum(first, len(order) - 1)]  # (n_bins - 1,)
    bin_of = np.searchsorted(edges, probabilities, side="right")  # (N,)
    differences = np.bincount(bin_of, weights * (outcomes - probabilities)) / weights.sum()
    rate = np.average(outcomes, weights=weights)
    constant = _log_loss(np.full(len(outcomes), rate), outcomes, weights)
    return Calibration(
        error=float(np.abs(differences).sum()),
        skill=1 - _log_loss(probabilities, outcomes, weights) / constant if constant else 0.0,
        predicted_rate=float(np.average(probabilities, weights=weights)),
        observed_rate=float(rate),
    )


def _log_loss(probabilities: np.ndarray, outcomes: np.ndarray, weights: np.ndarray) -> float:
    likelihood = np.where(outcomes == 1, probabilities, 1 - probabilities)
    return float(-np.average(np.log(np.maximum(likelihood, 1e-300)), weights=weights))


class PropensityModel(torch.nn.Module):
    """e(u, i) of every pair. All its tensors are buffers, so it moves and saves with its model."""

    user_term: Tensor
    item_term: Tensor
    user_activity: Tensor
    item_popularity: Tensor
    interaction: Tensor

    def __init__(
        self,
        user_term: np.ndarray,
        item_term: np.ndarray,
        user_activity: np.ndarray,
        item_popularity: np.ndarray,
        interaction: float,
    ) -> None:
        """α · x_u (n_users,), c + β · x_i (n_items,), a (n_users,), p (n_items,) and γ."""
        super().__init__()
        tensors = {
            "user_term": user_term,
            "item_term": item_term,
            "user_activity": user_activity,
            "item_popularity": item_popularity,
            "interaction": np.asarray(interaction),
        }
        for name, values in tensors.items():
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))
        self.calibration: Calibration | None = None  # on pairs that it was not fitted to

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Eq. (13): e(u, i) = P(O_ui = 1 | x_u, x_i) of users and items whose shapes broadcast."""
        product = self.user_activity[users] * self.item_popularity[items]
        return torch.sigmoid(
            self.user_term[users] + self.item_term[items] + self.interaction * product
        )


def fit_propensity(
    users: np.ndarray,
    items: np.ndarray,
    n_users: int,
    n_items: int,
    *,
    user_features: np.ndarray | None = None,
    item_features: np.ndarray | None = None,
    max_pairs: int = 200_000,
    seed: int = 0,
) -> PropensityModel:
    """Fit (13) to training interactions, users (N,) and items (N,), and measure its calibration.

    Ids are internal, n_users and n_items include the pad. user_features: (n_users, f) and
    item_features: (n_items, g), in any scale. Up to `max_pairs` observed pairs and equally many
    unobserved ones are drawn. A fifth of them measures the calibration, with weights that make it
    representative of all pairs. Each coefficient has a standard normal prior. Raises InputError for
    ids out of range, for no interactions, and if every pair is observed.
    """
    random = np.random.default_rng(seed)
    seen = ObservedPairs(users, items, n_users, n_items)
    chosen = random.permutation(len(seen))[:max_pairs]
    unseen = seen.draw_unobserved(len(chosen), random)  # (2, n)
    u = np.concatenate([seen.users[chosen], unseen[0]])  # (2n,)
    i = np.concatenate([seen.items[chosen], unseen[1]])
    observed = np.repeat([1.0, 0.0], len(chosen))
    rates = np.array([len(chosen) / seen.n_unobserved, len(chosen) / len(seen)])  # π₀, π₁

    activity = _standardised(np.log1p(seen.activity())[:, None])[:, 0]
    popularity = _standardised(np.log1p(seen.popularity())[:, None])[:, 0]
    x_user = _columns(activity, user_features)  # (n_users, f + 2)
    x_item = _columns(popularity, item_features)  # (n_items, g + 2)
    product = activity[u] * popularity[i]
    features = np.column_stack([x_user[u], x_item[i], product, np.ones(len(u))])
    offset = np.log(rates[1] / rates[0])
    held_out = HELD_OUT_SHARE if len(chosen) >= MIN_HELD_OUT else 0.0
    fitted = random.random(len(u)) >= held_out
    coefficients = fit_logistic(features[fitted], observed[fitted], offset, ridge=1 / len(u))

    user_weights, item_weights, (gamma, constant) = np.split(
        coefficients, [x_user.shape[1], x_user.shape[1] + x_item.shape[1]]
    )
    item_term = x_item @ item_weights + constant
    model = PropensityModel(x_user @ user_weights, item_term, activity, popularity, gamma)
    if held_out:
        u, i, observed = u[~fitted], i[~fitted], observed[~fitted]
        with torch.no_grad():
            predicted = model(torch.from_numpy(u), torch.from_numpy(i)).double().numpy()
        model.calibration = calibration(predicted, observed, 1 / rates[observed.astype(int)])
    return model


def _columns(logs: np.ndarray, features: np.ndarray | None) -> np.ndarray:
    """The logs (n,), their squares, and the standardised features (n, f): (n, f + 2)."""
    basic = np.column_stack([logs, logs**2])
    return basic if features is None else np.hstack([basic, _standardised(features)])


def _standardised(columns: np.ndarray) -> np.ndarray:
    """`columns` (n, f) with mean 0 and variance 1 over the ids; the pad (id 0) gets 0."""
    real = columns[1:]
    spread = real.std(axis=0)
    scaled = (columns - real.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    scaled[0] = 0.0
    return scaled


def inverse_propensity_weights(propensities: Tensor, clip: float = 0.0) -> Tensor:
    """1 / max(e, clip), of any shape. The clip bounds the variance and biases the estimate towards
    the unweighted mean. If it is 0, the propensities must be above 0."""
    return 1 / propensities.clamp(min=clip)


def ips_loss(
    losses: Tensor, propensities: Tensor, clip: float = 0.0, population: int | None = None
) -> Tensor:
    """Eq. (14): 1/|D| Σ ℓ / e over the observed pairs, a scalar. losses, propensities: (N,).

    The paper divides by |D|, the number of observed pairs. The minimiser is right, but for an
    estimate of the mean loss over all pairs the divisor must be the number of all pairs:
    `population`.
    """
    weights = inverse_propensity_weights(propensities, clip)  # (N,)
    return (weights * losses).sum() / (len(losses) if population is None else population)


def self_normalised_ips_loss(losses: Tensor, propensities: Tensor, clip: float = 0.0) -> Tensor:
    """Eq. (14), self-normalised: Σ ℓ / e over Σ 1 / e, a scalar (Swaminathan & Joachims, 2015).

    losses, propensities: (N,). It needs no count of all pairs, does not change if all propensities
    are scaled by one factor, and has less variance than (14). Its bias vanishes as N grows.
    """
    weights = inverse_propensity_weights(propensities, clip)  # (N,)
    return (weights * losses).sum() / weights.sum()
