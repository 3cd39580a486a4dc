"""Worker: stock RecBole reads an atomic file and makes a sequential model's training rows."""

from __future__ import annotations

import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent / "stubs"))

from protocol import peak_gib, serve
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


def load(data_path: str, dataset: str, memory_gib: float, minutes: float) -> dict[str, Any]:
    """Seconds and peak memory; where it stopped, if it asked for more than `memory_gib` or took
    more than `minutes` of the processor."""
    limit = int(memory_gib * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    signal.signal(signal.SIGPROF, _out_of_time)
    signal.setitimer(signal.ITIMER_PROF, minutes * 60)
    began, cpu = time.perf_counter(), time.process_time()
    reached, stopped = "nothing", None
    try:
        config = Config(
            model="SASRec", dataset=dataset, config_dict=OPTIONS | {"data_path": data_path}
        )
        loaded = create_dataset(config)
        reached = "the interactions"
        data_preparation(config, loaded)
        reached = "the training rows"
    except TimeoutError:
        stopped = f"{minutes:g} min of the processor"
    except (MemoryError, RuntimeError) as error:  # torch raises RuntimeError
        if isinstance(error, RuntimeError) and "alloc" not in str(error):
            raise
        stopped = f"{memory_gib:g} GiB"
    signal.setitimer(signal.ITIMER_PROF, 0)
    return {
        "reached": reached,
        "stopped": stopped,
        "total_seconds": round(time.perf_counter() - began, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_gib": peak_gib(),
    }


def _out_of_time(*signalled: Any) -> None:
    raise TimeoutError


if __name__ == "__main__":
    serve({"load": load}, ("recbole", "torch", "numpy", "pandas"))
