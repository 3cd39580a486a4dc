"""Logistic regression by Newton's method, with offsets."""

from __future__ import annotations

import numpy as np

MOST_STEPS = 50
MOST_HALVINGS = 30
TOLERANCE = 1e-8  # on the gradient's largest entry, per observation


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
    """Coefficients c (p,) of greatest mean log-likelihood of P(O = 1) = σ(features @ c + offset).

    features: (N, p), a column of ones included where an intercept is wanted; outcomes: (N,) 0 or 1.
    `ridge` / 2 · |c|² is taken off, so that collinear columns and separable outcomes have an
    answer too. A Newton step that would lower the likelihood is halved until it does not.
    """
    coefficients = np.zeros(features.shape[1])
    value = _penalised_loss(features, outcomes, offsets, ridge, coefficients)
    for _ in range(MOST_STEPS):
        probabilities = sigmoid(features @ coefficients + offsets)  # (N,)
        gradient = features.T @ (probabilities - outcomes) / len(outcomes) + ridge * coefficients
        if np.abs(gradient).max() < TOLERANCE:
            break
        curvature = probabilities * (1 - probabilities)  # (N,)
        hessian = (features.T * curvature) @ features / len(outcomes)  # (p, p)
        step = np.linalg.solve(hessian + ridge * np.eye(len(gradient)), gradient)
        for _ in range(MOST_HALVINGS):
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
