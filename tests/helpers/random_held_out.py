"""Held-out data that is random but repeatable."""

from __future__ import annotations

import numpy as np

from llm4rec_recbole.data.held_out import HeldOut


def random_held_out(seed: int = 0, n_users: int = 40, n_items: int = 150) -> HeldOut:
    """Users with 0 to 20 seen items each and one target that is not among them."""
    random = np.random.default_rng(seed)
    lengths = random.integers(0, min(20, n_items - 2), size=n_users, endpoint=True)
    rows = [random.permutation(np.arange(1, n_items))[: n + 1] for n in lengths]
    return HeldOut(
        users=np.arange(1, n_users + 1),
        targets=np.array([row[-1] for row in rows]),
        indptr=np.concatenate([[0], np.cumsum(lengths)]),
        items=np.concatenate([row[:-1] for row in rows]),
        times=np.arange(lengths.sum()),
        n_items=n_items,
    )
