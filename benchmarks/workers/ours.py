"""Worker: this project, with its own property files; only the model's size is asked for."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import llm4rec_recbole  # noqa: F401  readies RecBole, so it comes before the worker's own imports

# isort: split
from answer import serve
from recbole_runs import masked_targets, prepare, timed_training
from steps import Enough

COMMON = {"protocol": "loo", "use_gpu": False, "show_progress": False, "quiet": True}


def train(model: str, options: dict[str, Any], threads: int, seconds: float) -> dict[str, Any]:
    """Train for `seconds`."""
    endless = COMMON | options | {"epochs": 10**6}
    trainer, train_data, _, _ = prepare(model, endless, threads)
    rows = sum(len(batch) for batch in train_data)  # windows vary a little from epoch to epoch
    targets_of = {"BERT4Rec": masked_targets, "SASRec": _next_items}[model]
    return timed_training(trainer, train_data, rows, targets_of, seconds)


def evaluate(model: str, options: dict[str, Any], threads: int) -> dict[str, Any]:
    """All three rankings of all test users, the drawing of their negatives included."""
    from llm4rec_recbole.training.scoring import scorer

    from llm4rec_recbole.evaluation.ranking import rank_held_out

    trainer, _, _, test_data = prepare(model, COMMON | options, threads)
    held_out = test_data.held_out
    started = time.perf_counter()
    uni100, pop100 = test_data.negatives()
    drawn = time.perf_counter()
    score = scorer(trainer.model, trainer.config, held_out)
    rank_held_out(score, held_out, uni100, pop100, batch_size=test_data.batch_size)
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "drawing_seconds": drawn - started,
        "users": len(held_out),
        "rankings": ["full", "uni100", "pop100"],
    }


def quality(
    model: str, options: dict[str, Any], threads: int, seconds: float, seed: int
) -> dict[str, Any]:
    """Train to early stopping, or for `seconds`; NDCG@10 on validation and test at each validation.

    The curve's seconds are of training and validation, without the looks at the test.
    """
    from llm4rec_recbole.training.scoring import validate

    trainer, train_data, valid_data, test_data = prepare(
        model, COMMON | options | {"seed": seed}, threads
    )
    curve: list[dict[str, float]] = []
    looking = 0.0

    def look(epoch: int, valid: float) -> None:
        nonlocal looking
        began = time.perf_counter()
        spent = began - started - looking
        test = validate(trainer.model, test_data)["ndcg@10"]
        curve.append({"epoch": epoch + 1, "seconds": spent, "valid": valid, "test": test})
        print(f"  ours, epoch {epoch + 1}: {spent:.0f} s, {valid:.4f}, {test:.4f}", file=sys.stderr)
        looking += time.perf_counter() - began
        if spent > seconds:
            raise Enough

    started = time.perf_counter()
    with contextlib.suppress(Enough):
        trainer.fit(train_data, valid_data, verbose=False, callback_fn=look)
    return {"curve": curve, "seed": seed}


def _next_items(interaction: Any) -> int:
    return int((interaction["item_id"] > 0).sum())


if __name__ == "__main__":
    serve({"train": train, "evaluate": evaluate, "quality": quality}, ("recbole", "torch", "numpy"))
