"""Worker: the three rankings of a model with vectors, on made-up users, at any size."""

from __future__ import annotations

import time
from typing import Any

from protocol import peak_gib, serve

D = 64  # numbers in a vector


def evaluate(n_users: int, n_items: int, length: int, threads: int) -> dict[str, Any]:
    """Draw the negatives and rank a target for each user; CPU and wall-clock seconds of both.

    length: the mean number of items that a user has seen. `beside_gib` is the peak of memory less
    what the model and the data take.
    """
    import numpy as np
    import torch

    from llm4rec_recbole.data.held_out import HeldOut
    from llm4rec_recbole.evaluation import ranking

    try:
        from llm4rec_recbole.evaluation.negatives import draw_negatives
    except ModuleNotFoundError:  # before it had a module of its own
        draw_negatives = ranking.draw_negatives  # type: ignore[attr-defined]

    torch.set_num_threads(threads)
    random = np.random.default_rng(0)
    lengths = random.integers(1, 2 * length, n_users)
    popularity = random.permutation(np.arange(1, n_items + 1) ** -0.7)  # of the items
    edges = np.cumsum(popularity) / popularity.sum()
    drawn = np.searchsorted(edges, random.random(int(lengths.sum()) + n_users), side="right") + 1
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    held_out = HeldOut(
        users=np.arange(1, n_users + 1),
        targets=drawn[indptr[-1] :],
        indptr=indptr,
        items=drawn[: indptr[-1]],
        times=np.arange(indptr[-1]),
        n_items=n_items + 1,
    )
    generator = torch.Generator().manual_seed(0)
    users = torch.randn(n_users, D, generator=generator)
    table = torch.randn(n_items + 1, D, generator=generator).T.contiguous().T
    popular = np.bincount(drawn, minlength=n_items + 1).astype(np.float64)
    before = peak_gib()
    clocks = [(time.perf_counter(), time.process_time())]

    def lap() -> None:
        clocks.append((time.perf_counter(), time.process_time()))

    negatives = [
        draw_negatives(held_out, weights, 100, seed)
        for seed, weights in enumerate((np.ones(n_items + 1), popular))
    ]
    lap()
    options = {"threads": threads} if "threads" in ranking.rank_held_out.__annotations__ else {}
    ranked = ranking.rank_held_out(
        lambda rows: (users[rows] @ table.T).numpy(), held_out, *negatives, **options
    )
    lap()
    wall, cpu = np.diff(clocks, axis=0).T
    return {
        "negatives": {"wall": wall[0], "cpu": cpu[0]},
        "ranking": {"wall": wall[1], "cpu": cpu[1]},
        "total": {"wall": wall.sum(), "cpu": cpu.sum()},
        "scoring_wall": float(ranked.seconds.sum()),
        "beside_gib": round(peak_gib() - before, 3),
        "mean_ranks": [
            float(ranks.mean())
            for ranks in (ranked.rank_full, ranked.rank_uni100, ranked.rank_pop100)
        ],
    }


if __name__ == "__main__":
    serve({"evaluate": evaluate}, ("numpy", "torch"))
