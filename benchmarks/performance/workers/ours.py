"""Worker: this project, with its own property files; only the model's size is asked for."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

from protocol import serve
from recbole_runs import masked_targets, timed_training
from steps import Enough

from llm4rec_recbole.evaluation.ranking import rank_held_out
from llm4rec_recbole.training.experiment import Experiment, prepare

COMMON = {"protocol": "loo", "use_gpu": False, "show_progress": False, "quiet": True}


def train(model: str, options: dict[str, Any], threads: int, seconds: float) -> dict[str, Any]:
    """Train for `seconds`."""
    run = _prepare(model, options | {"epochs": 10**6}, threads)
    targets_of = {"BERT4Rec": masked_targets, "SASRec": _next_items}[model]
    return timed_training(run.trainer, run.data.train, targets_of, seconds)


def evaluate(model: str, options: dict[str, Any], threads: int) -> dict[str, Any]:
    """All three rankings of all test users, the drawing of their negatives included."""
    from llm4rec_recbole.evaluation.held_out_loader import scorer

    run = _prepare(model, options, threads)
    held_out, batch_size = run.data.test.held_out, run.data.test.batch_size
    started = time.perf_counter()
    uni100, pop100 = run.data.test.negatives()
    drawn = time.perf_counter()
    score = scorer(run.model, run.config, held_out)
    rank_held_out(score, held_out, uni100, pop100, batch_size=batch_size)
    ended = time.perf_counter()
    return {
        "seconds": ended - started,
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

    run = _prepare(model, options | {"seed": seed}, threads)
    curve: list[dict[str, float]] = []
    looking = 0.0

    def look(epoch: int, valid: float) -> None:
        nonlocal looking
        began = time.perf_counter()
        spent = began - started - looking
        test = run.data.test.evaluate(run.model)["ndcg@10"]
        curve.append({"epoch": epoch + 1, "seconds": spent, "valid": valid, "test": test})
        print(f"  ours, epoch {epoch + 1}: {spent:.0f} s, {valid:.4f}, {test:.4f}", file=sys.stderr)
        looking += time.perf_counter() - began
        if spent > seconds:
            raise Enough

    started = time.perf_counter()
    with contextlib.suppress(Enough):
        run.trainer.fit(run.data.train, run.data.valid, verbose=False, callback_fn=look)
    return {"curve": curve, "seed": seed}


def curve(
    model: str,
    dataset: str,
    data_path: str,
    config_files: list[str],
    options: dict[str, Any],
    cpu_seconds: float,
) -> dict[str, Any]:
    """Train on one thread until its last epoch or for `cpu_seconds`; NDCG@10 at each validation.

    CPU seconds count from before the data are read, with the validations.
    """
    started = time.process_time()
    further = COMMON | {"data_path": data_path, "num_threads": 1, "seed": 0} | options
    run = prepare(model, dataset, config_files, further)
    points: list[dict[str, float]] = []

    def look(epoch: int, valid: float) -> None:
        spent = time.process_time() - started
        points.append({"epoch": epoch + 1, "cpu_seconds": spent, "valid": valid})
        print(f"  ours {model}: {points[-1]}", file=sys.stderr, flush=True)
        if spent > cpu_seconds:
            raise Enough

    with contextlib.suppress(Enough):
        run.trainer.fit(
            run.data.train, run.data.valid, verbose=False, saved=False, callback_fn=look
        )
    return {"curve": points}


def _prepare(model: str, options: dict[str, Any], threads: int) -> Experiment:
    return prepare(model, "ml-100k", options=COMMON | options | {"num_threads": threads})


def _next_items(interaction: Any) -> int:
    return int((interaction["item_id"] > 0).sum())


if __name__ == "__main__":
    tasks = {"train": train, "evaluate": evaluate, "quality": quality, "curve": curve}
    serve(tasks, ("recbole", "torch", "numpy"))
