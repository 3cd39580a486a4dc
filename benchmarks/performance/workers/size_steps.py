"""Worker: what stands between a raw CSV and training, step by step, with the process's peak memory.

Each task is a process of its own, as `llm4rec prepare` and `run_recbole` are.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from protocol import peak_gib, serve


def prepare(data_path: str, dataset: str, out: str) -> dict[str, Any]:
    """`llm4rec prepare`: raw files to atomic files, check, columnar cache, counts of the splits."""
    clock = _Clock()
    from llm4rec_recbole.datasets.prepare import prepare as prepare_data

    prepare_data(dataset, out, data_path)
    clock.lap("prepare")
    return clock.answer()


def start(data_path: str, dataset: str) -> dict[str, Any]:
    """What `run_recbole --model=SASRec` does up to an epoch's windows and the first batch."""
    clock = _Clock()
    with _start_of_a_run():
        from llm4rec_recbole.training.checks import check_data  # before RecBole, which it patches

        config = _config("SASRec", dataset, data_path)
        from recbole.data import create_dataset, data_preparation

    clock.lap("imports")
    check_data(config)
    clock.lap("check")
    loaded = create_dataset(config)
    clock.lap("read")
    train_data, _, _ = data_preparation(config, loaded)
    clock.lap("split")
    batch = next(iter(train_data))
    clock.lap("windows")
    return clock.answer() | {"first_batch": list(batch["item_id_list"].shape)}


def step(data_path: str, dataset: str, model: str) -> dict[str, Any]:
    """Data and `model` with its own options, one training step, one full-ranking evaluation
    batch."""
    import numpy as np

    from llm4rec_recbole.evaluation.held_out_loader import scorer
    from llm4rec_recbole.evaluation.ranking import full_ranks
    from llm4rec_recbole.training.experiment import prepare as prepare_run

    clock = _Clock()
    trained = prepare_run(model, dataset, options=_options(data_path))
    config, network, valid = trained.config, trained.model, trained.data.valid
    batch = next(iter(trained.data.train)).to(config["device"])
    found: dict[str, Any] = {"loaded_gib": peak_gib(), "n_items": network.n_items - 1}
    clock.lap("before")
    loss = network.calculate_loss(batch)
    loss.backward()
    trained.trainer.optimizer.step()
    clock.lap("training step")
    found["step_gib"] = peak_gib()
    rows = np.arange(min(valid.batch_size, len(valid.held_out)))
    scores = scorer(network, config, valid.held_out, valid.dataset)(rows)
    full_ranks(scores, valid.held_out.targets[rows], valid.held_out.seen_mask(rows))
    clock.lap("evaluation batch")
    sizes = {"windows": config["train_batch_size"], "users": len(rows), "loss": float(loss)}
    return found | clock.answer() | sizes


def _start_of_a_run() -> AbstractContextManager[None]:
    """What `run_recbole` imports in; nothing in commits that lack it."""
    try:
        from llm4rec_recbole.console import no_garbage_collection
    except ImportError:
        return nullcontext()
    return no_garbage_collection()


def _config(model: str, dataset: str, data_path: str) -> Any:
    from recbole.config import Config

    return Config(model, dataset, config_dict=_options(data_path))


def _options(data_path: str) -> dict[str, Any]:
    return {"data_path": data_path, "use_gpu": False, "show_progress": False, "quiet": True}


class _Clock:
    """Seconds of each step, of the wall clock and of the processor."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.cpu_laps: dict[str, float] = {}
        self._last, self._last_cpu = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        now, cpu = time.perf_counter(), time.process_time()
        self.laps[name] = round(now - self._last, 2)
        self.cpu_laps[name] = round(cpu - self._last_cpu, 2)
        self._last, self._last_cpu = now, cpu

    def answer(self) -> dict[str, Any]:
        return {
            "seconds": self.laps,
            "total_seconds": round(sum(self.laps.values()), 2),
            "cpu_seconds_of_steps": self.cpu_laps,
            "cpu_seconds": round(sum(self.cpu_laps.values()), 2),
            "peak_gib": peak_gib(),
        }


if __name__ == "__main__":
    tasks = {"prepare": prepare, "start": start, "step": step}
    serve(tasks, ("numpy", "pandas", "pyarrow", "recbole", "torch"))
