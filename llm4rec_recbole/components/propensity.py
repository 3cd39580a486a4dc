"""Propensity: how likely a pair of user and item is to be observed at all (Eq. 13).

    logit e(u, i) = c + α · x_u + β · x_i + γ a_u p_i

    a_u, p_i   log(1 + activity of the user), log(1 + popularity of the item), standardised
    x_u, x_i   a_u, a_u² and the user's features;  p_i, p_i² and the item's features

Nearly all pairs are unobserved, so it is fitted to a sample: the observed pairs at a rate π₁, the
others at a rate π₀. That multiplies the odds of every pair by π₁ / π₀, and the logarithm of this
ratio, put in as an offset, takes it out again: for a logistic model the correction is exact
(Prentice & Pyke, 1979; King & Zeng, 2001).
"""

from __future__ import annotations

import numpy as np
import torch

from llm4rec_recbole.components.calibration import Calibration, calibration
from llm4rec_recbole.components.logistic import fit_logistic
from llm4rec_recbole.components.pairs import ObservedPairs

HELD_OUT_SHARE = 0.2  # of the sampled pairs: they are not fitted, they measure the calibration
FEWEST_TO_MEASURE = 50  # observed pairs; with fewer all are fitted and the calibration is None


class PropensityModel(torch.nn.Module):
    """e(u, i) of every pair; all buffers, so it moves, saves and loads with the model it serves."""

    user_term: torch.Tensor
    item_term: torch.Tensor
    user_activity: torch.Tensor
    item_popularity: torch.Tensor
    interaction: torch.Tensor

    def __init__(
        self,
        user_term: np.ndarray,
        item_term: np.ndarray,
        user_activity: np.ndarray,
        item_popularity: np.ndarray,
        interaction: float,
        measured: Calibration | None = None,
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
        self.calibration = measured

    def logits(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """logit e(u, i) of users and items, whose shapes broadcast."""
        product = self.user_activity[users] * self.item_popularity[items]
        return self.user_term[users] + self.item_term[items] + self.interaction * product

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Eq. 13: e(u, i) = P(O_ui = 1 | x_u, x_i), of users and items whose shapes broadcast."""
        return torch.sigmoid(self.logits(users, items))


def fit_propensity(
    users: np.ndarray,
    items: np.ndarray,
    n_users: int,
    n_items: int,
    *,
    user_features: np.ndarray | None = None,
    item_features: np.ndarray | None = None,
    most_pairs: int = 200_000,
    seed: int = 0,
) -> PropensityModel:
    """Fit Eq. 13 to training interactions, users (N,) and items (N,), and measure its calibration.

    Ids are internal, n_users and n_items count the pad. user_features: (n_users, f) and
    item_features: (n_items, g), any scale, the pad's row ignored. Up to `most_pairs` observed pairs
    and as many unobserved ones are drawn; a fifth of them measures `calibration`, weighted so that
    it speaks of all pairs. Each coefficient has a standard normal prior, which matters only for a
    handful of pairs. Raises InputError for ids out of range, no interactions, or all observed.
    """
    random = np.random.default_rng(seed)
    seen = ObservedPairs(users, items, n_users, n_items)
    chosen = random.permutation(len(seen))[:most_pairs]
    unseen = seen.draw_unobserved(len(chosen), random)  # (2, n)
    u = np.concatenate([seen.users[chosen], unseen[0]])  # (2n,)
    i = np.concatenate([seen.items[chosen], unseen[1]])
    observed = np.repeat([1.0, 0.0], len(chosen))
    rates = np.array([len(chosen) / seen.n_unobserved, len(chosen) / len(seen)])  # π₀, π₁

    activity = _standardised_logs(seen.activity())
    popularity = _standardised_logs(seen.popularity())
    x_user = _columns(activity, user_features)  # (n_users, f + 2)
    x_item = _columns(popularity, item_features)  # (n_items, g + 2)
    product = activity[u] * popularity[i]
    features = np.column_stack([x_user[u], x_item[i], product, np.ones(len(u))])
    offset = np.log(rates[1] / rates[0])
    held_out = HELD_OUT_SHARE if len(chosen) >= FEWEST_TO_MEASURE else 0.0
    fitted = random.random(len(u)) >= held_out
    coefficients = fit_logistic(features[fitted], observed[fitted], offset, ridge=1 / len(u))

    of_user, of_item, (gamma, constant) = np.split(
        coefficients, [x_user.shape[1], x_user.shape[1] + x_item.shape[1]]
    )
    terms = (x_user @ of_user, x_item @ of_item + constant, activity, popularity, gamma)
    model = PropensityModel(*terms)
    held = ~fitted
    if held_out:
        with torch.no_grad():
            predicted = model(torch.from_numpy(u[held]), torch.from_numpy(i[held])).double().numpy()
        weights = 1 / rates[observed[held].astype(int)]
        model.calibration = calibration(predicted, observed[held], weights)
    return model


def _standardised_logs(counts: np.ndarray) -> np.ndarray:
    """log(1 + counts) with mean 0 and variance 1 over the ids, the pad (id 0) put at 0."""
    logs = np.log1p(counts)
    return _standardised(logs[:, None])[:, 0]


def _columns(logs: np.ndarray, features: np.ndarray | None) -> np.ndarray:
    """The logs (n,), their squares, and the standardised features (n, f): (n, f + 2)."""
    basic = np.column_stack([logs, logs**2])
    return basic if features is None else np.hstack([basic, _standardised(features)])


def _standardised(columns: np.ndarray) -> np.ndarray:
    real = columns[1:]
    spread = real.std(axis=0)
    scaled = (columns - real.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    scaled[0] = 0.0
    return scaled
