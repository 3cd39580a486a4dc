"""Worker: stock RecBole reads an atomic file and makes a sequential model's training rows."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent / "stand_ins"))

from answer import serve
from recbole.config import Config
from recbole.data import create_dataset, data_preparation

OPTIONS = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
    "MAX_ITEM_LIST_LENGTH": 50,
    "train_neg_sample_args": None,
    "eval_args": {
        "split": {"LS": "valid_and_test"},
        "group_by": "user",
        "order": "TO",
        "mode": "full",
    },
    "use_gpu": False,
    "show_progress": False,
    "state": "ERROR",
}


def load(data_path: str, memory_gib: float) -> dict[str, Any]:
    """Seconds and peak memory, or where it stopped when it asked for more than `memory_gib`."""
    limit = int(memory_gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    began, reached = time.perf_counter(), "nothing"
    try:
        config = Config(
            model="SASRec", dataset="size", config_dict=OPTIONS | {"data_path": data_path}
        )
        dataset = create_dataset(config)
        reached = "the interactions"
        data_preparation(config, dataset)
        reached = "the training rows"
    except MemoryError:
        pass
    return {
        "reached": reached,
        "total_seconds": round(time.perf_counter() - began, 2),
        "peak_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 3),
    }


if __name__ == "__main__":
    serve({"load": load}, ("recbole", "torch", "numpy", "pandas"))
