"""Made-up runs of every configuration of Tables IV and V."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from llm4rec_recbole.analysis.paper.paper_tables import METHODS
from tests.helpers.fake_results import add_run, ranks_around

#: How well each does; the smaller, the better.
MIDDLES = dict(zip(METHODS, (20, 18, 17, 17, 16, 3, 3, 15, 30, 20, 20)))


def ranks(method: str) -> np.ndarray:
    """The full ranking of the run of `method`, (60,)."""
    return ranks_around(MIDDLES[method], seed=sorted(MIDDLES).index(method))


def add_ablation(results: Path, *leaving_out: str, **more: str) -> None:
    """A run of every method of Tables IV and V but `leaving_out`, and of one baseline."""
    add_run(results, "BPR", ranks_around(25, seed=99))
    for method in METHODS:
        if method not in leaving_out:
            add_run(results, method, ranks(method), **more)
