"""Real-time adaptation (Eqs. 26-33): the paper's fifth component, one function per equation.

    (26-27)  v ← μ v + g,  θ ← θ − η v            (31-32)  L = α L_explicit + β L_implicit + γ L_reg
    (28)     η = η₀ exp(−λ · uncertainty)         (33)     L_new + λ/2 Σ F (θ − θ*)²
    (29-30)  only where softmax(|g|) > τ

adapter.py puts them together, events.py and journal.py feed it, prequential.py measures it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Tensors = Mapping[str, Tensor]


def momentum_velocity(velocity: Tensor, gradient: Tensor, momentum: float) -> Tensor:
    """Eq. 26: v_t = μ v_{t−1} + ∇L, of one parameter, in place; all of its shape."""
    return velocity.mul_(momentum).add_(gradient)


def sgd_step(parameter: Tensor, velocity: Tensor, rate: float) -> Tensor:
    """Eq. 27: θ_t = θ_{t−1} − η v_t, of one parameter, in place; all of its shape."""
    return parameter.sub_(velocity, alpha=rate)


def learning_rate(initial: float, decay: float, uncertainty: float) -> float:
    """Eq. 28: η_t = η_0 exp(−λ · uncertainty(x_t)): an uncertain prediction moves less."""
    return initial * math.exp(-decay * uncertainty)


def normalised_entropy(logits: Tensor) -> Tensor:
    """An uncertainty for Eq. 28: the entropy of softmax(logits) over its largest value, in [0,
    1]. logits: (..., n), n > 1; minus infinity excludes an item. Returns (...)."""
    log_probabilities = logits.log_softmax(-1)
    terms = log_probabilities.exp() * log_probabilities.clamp(min=-1e4)  # 0 · −∞ is 0 here
    return -terms.sum(-1) / math.log(logits.shape[-1])


def gradient_importance(gradient: Tensor) -> Tensor:
    """Eq. 29: softmax(|g|) over all entries of one tensor, of its shape. In float64: over N entries
    each importance is close to 1 / N, and float32 cannot separate such values."""
    return gradient.double().abs().flatten().softmax(0).view(gradient.shape)


def importance_threshold(importance: Tensor, fraction: float) -> float:
    """τ of Eq. 30, below which all but ⌈fraction · n⌉ of a tensor's entries lie; ties pass too. A
    fixed τ would select nothing or everything once the tensor's size changes."""
    passing = max(1, math.ceil(fraction * importance.numel()))
    smallest = importance.flatten().topk(passing).values[-1]
    return float(torch.nextafter(smallest, torch.full_like(smallest, -torch.inf)))


def selected(importance: Tensor, threshold: float) -> Tensor:
    """Eq. 30: which entries are updated, importance > τ, bool of its shape."""
    return importance > threshold


def select_entries(gradient: Tensor, fraction: float) -> Tensor:
    """Eqs. 29-30 without the softmax, which preserves the order of |g|: bool of the gradient's
    shape.

    Only entries with a gradient are counted and selected: an event touches a few rows of an
    embedding table, and a quantile over the whole table would select every entry of these rows.
    """
    size = gradient.abs()
    present = int(size.count_nonzero())
    if not present:
        return torch.zeros_like(gradient, dtype=torch.bool)
    k, values = max(1, math.ceil(fraction * present)), size.flatten()
    if size.device.type == "cpu" and size.dtype in (torch.float32, torch.float64):
        # NumPy's selection is ten times as fast as torch's.
        return size >= float(np.partition(values.numpy(), len(values) - k)[len(values) - k])
    return size >= float(values.topk(k).values[-1])


def combined_loss(
    explicit: Tensor,
    implicit: Tensor,
    regularisation: Tensor,
    weights: tuple[float, float],
    gamma: float,
) -> Tensor:
    """Eq. 31: L = α L_explicit + β L_implicit + γ L_reg, scalars; weights: (α, β)."""
    alpha, beta = weights
    return alpha * explicit + beta * implicit + gamma * regularisation


def feedback_weights(explicit: float, implicit: float) -> tuple[float, float]:
    """Eq. 32: α = r_explicit / (r_explicit + r_implicit) and β = 1 − α, reliabilities above 0."""
    alpha = explicit / (explicit + implicit)
    return alpha, 1 - alpha


def dislike_loss(log_probability: Tensor, n_items: int) -> Tensor:
    """The loss of an item that was not liked: log(1 + n P), a scalar, from log P, a scalar.

    The paper defines none. This is the cross-entropy of a choice between two answers: the item was
    drawn from P, or uniformly from all n items (as in Gutmann & Hyvärinen, AISTATS 2010). The loss
    of a uniform prediction is log 2. The slope tends to 0 once P is far below 1 / n.
    """
    return torch.nn.functional.softplus(log_probability + math.log(n_items))


def reliability(loss: float, baseline_loss: float, least: float = 0.05) -> float:
    """How well a kind of feedback is predicted: 1 − loss / baseline loss, limited to [least, 1].

    The paper does not define reliability. This ratio has no unit, so a loss over two answers and
    one over all items can be compared. baseline_loss: of a uniform prediction.
    """
    return min(1.0, max(least, 1 - loss / baseline_loss))


def ewc_penalty(parameters: Tensors, anchor: Tensors, fisher: Tensors, strength: float) -> Tensor:
    """Eq. 33, what is added to L_new: λ/2 Σ_j F_j (θ_j − θ*_j)², a scalar.

    parameters, anchor (θ*) and fisher (F): tensors of equal shapes under the same names.
    """
    terms = [(fisher[name] * (p - anchor[name]) ** 2).sum() for name, p in parameters.items()]
    return strength / 2 * torch.stack(terms).sum()


def fisher_diagonal(
    model: nn.Module, loss: Callable[[Any], Tensor], examples: Iterable[Any]
) -> dict[str, Tensor]:
    """F of Eq. 33: the mean over examples of the squared gradient of −log P, by parameter name.

    loss(example) is the negative log-likelihood of the observed outcome, a scalar (the empirical
    Fisher). Frozen parameters are left out. Leaves the model's gradients as None. Raises ValueError
    when there are no examples.
    """
    learned = {name: p for name, p in model.named_parameters() if p.requires_grad}
    total = {name: torch.zeros_like(p) for name, p in learned.items()}
    for parameter in learned.values():
        parameter.grad = None
    count = 0
    for example in examples:
        loss(example).backward()
        for name, parameter in learned.items():
            if parameter.grad is not None:
                total[name] += parameter.grad**2
            parameter.grad = None  # model.zero_grad walks over all modules, which takes longer
        count += 1
    if not count:
        raise ValueError("the Fisher diagonal needs at least one example")
    return {name: squares / count for name, squares in total.items()}
