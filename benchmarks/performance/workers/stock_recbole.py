"""Worker: stock RecBole, through its own configuration, data, model and trainer classes.

Saving is off throughout (`saved=False`): RecBole's checkpoints do not load with torch >= 2.6.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent / "stubs"))

import torch
from protocol import serve
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.utils import get_model, get_trainer, init_seed
from recbole_runs import masked_targets, timed_training

COMMON = {
    "train_neg_sample_args": None,  # cross-entropy over all items needs no negatives
    "eval_args": {
        "split": {"LS": "valid_and_test"},
        "group_by": "user",
        "order": "TO",
        "mode": "uni100",
    },
    "metrics": ["Hit", "NDCG"],
    "topk": [10],
    "valid_metric": "NDCG@10",
    "use_gpu": False,
    "show_progress": False,
    "state": "ERROR",
    "epochs": 1,
}


def train(
    model: str, options: dict[str, Any], threads: int, seconds: float | None
) -> dict[str, Any]:
    """Train for `seconds` (None: one whole epoch)."""
    trainer, train_data, _ = _prepare(model, options, threads)
    targets_of = {"BERT4Rec": masked_targets, "SASRec": len}[model]  # SASRec: one target a row
    return timed_training(trainer, train_data, targets_of, seconds)


def evaluate(model: str, options: dict[str, Any], threads: int) -> dict[str, Any]:
    """One `uni100` pass over all test users; how good the scores are does not change its time."""
    trainer, _, test_data = _prepare(model, options, threads)
    started = time.perf_counter()
    trainer.evaluate(test_data, load_best_model=False)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "users": len(test_data.dataset), "rankings": ["uni100"]}


def _prepare(model: str, options: dict[str, Any], threads: int) -> tuple[Any, Any, Any]:
    """The steps of RecBole's quick start: a trainer, training and test data."""
    torch.set_num_threads(threads)
    config = Config(model=model, dataset="ml-100k", config_dict=COMMON | options)
    init_seed(config["seed"], config["reproducibility"])
    train_data, _, test_data = data_preparation(config, create_dataset(config))
    network = get_model(model)(config, train_data.dataset).to(config["device"])
    return get_trainer(config["MODEL_TYPE"], model)(config, network), train_data, test_data


if __name__ == "__main__":
    serve({"train": train, "evaluate": evaluate}, ("recbole", "torch", "numpy"))
