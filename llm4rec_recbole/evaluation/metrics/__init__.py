"""Per-user ranking metrics, one a file, and the five that every run record holds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from llm4rec_recbole.evaluation.metrics.hit import hit
from llm4rec_recbole.evaluation.metrics.mrr import mrr
from llm4rec_recbole.evaluation.metrics.ndcg import ndcg

ACCURACY: dict[str, tuple[Callable[[np.ndarray, int], np.ndarray], int]] = {
    "hit@5": (hit, 5),
    "hit@10": (hit, 10),
    "ndcg@5": (ndcg, 5),
    "ndcg@10": (ndcg, 10),
    "mrr@10": (mrr, 10),
}


def accuracy(ranks: np.ndarray) -> dict[str, float]:
    """Mean over users of each of the five metrics; ranks: (U,) with U > 0, 0 = best."""
    return {name: float(metric(ranks, k).mean()) for name, (metric, k) in ACCURACY.items()}
