"""What a run was timed on, in words."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from llm4rec_recbole.evaluation.beyond_accuracy import beyond_accuracy
from llm4rec_recbole.evaluation.metrics import accuracy
from llm4rec_recbole.evaluation.ranking import Rankings, rank_held_out
from llm4rec_recbole.files import sha256_of, write_json

if TYPE_CHECKING:
    from llm4rec_recbole.training.run import Trained


def hardware(device: Any) -> str:
    """The name of the torch `device`'s processor, and how many cores or GPUs this process may use.

    For example "Intel(R) Xeon(R) Platinum 8481C, 2 cores" or "NVIDIA H200, 1 of 1".
    """
    if device.type == "cuda":
        import torch

        return f"{torch.cuda.get_device_name(device)}, 1 of {torch.cuda.device_count()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores"


def _processor() -> str:
    """Linux tells its processor's name only in /proc/cpuinfo."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return " ".join(value.split())
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


# The run record: what was measured, what it cost, and exactly what it was made from.


#: Options that say where and how a run is watched, not what it computes.
_NOT_CONFIGURATION = {"results_dir", "checkpoint_dir", "show_progress", "quiet", "device"}


def write(trained: Trained, started: float) -> Path:
    """Evaluate on the test items, write users file and record; return the record's path.

    The users file comes first: a record never stands without the users it was computed from.
    """
    config = trained.config
    method = config["method"] or config["model"]
    place = Path(config["dataset"], config["protocol"], method, f"seed_{config['seed']}")
    record_path = Path(config["results_dir"], "runs", place).with_suffix(".json")
    record: dict[str, Any] = {
        "dataset": config["dataset"],
        "protocol": config["protocol"],
        "method": method,
        "seed": config["seed"],
        "components": list(getattr(trained.model, "components", [])),
    }
    if config["protocol"] == "recbole":
        test = trained.trainer.evaluate(trained.test_data, load_best_model=False)
        inference_ms = None
        record["metrics"] = {"valid": _plain(trained.valid_metrics), "test": _plain(test)}
    else:
        rankings = _rank(trained)
        beyond, per_user = beyond_accuracy(rankings, config, trained.test_data.dataset)
        users_path = Path(config["results_dir"], "users", place).with_suffix(".parquet")
        _write_users(users_path, rankings, trained, per_user)
        inference_ms = _milliseconds_per_user(rankings)
        record["metrics"] = {
            "valid": _plain(trained.valid_metrics),
            "test": {
                "full": accuracy(rankings.rank_full),
                "uni100": accuracy(rankings.rank_uni100),
                "pop100": accuracy(rankings.rank_pop100),
                **beyond,
            },
        }
    record["history"] = trained.history
    record["cost"] = _cost(trained, inference_ms)
    record["provenance"] = _provenance(trained, started)
    write_json(record_path, record)
    return record_path


def _rank(trained: Trained) -> Rankings:
    from llm4rec_recbole.evaluation.scoring import scorer

    loader = trained.test_data
    score = scorer(trained.model, trained.config, loader.held_out, loader.dataset)
    score(np.arange(min(8, len(loader.held_out))))  # warm up, so that the first batch is typical
    uni100, pop100 = loader.negatives()
    return rank_held_out(
        score,
        loader.held_out,
        uni100,
        pop100,
        batch_size=loader.batch_size,
        progress=trained.config["show_progress"],
    )


def _write_users(
    path: Path, rankings: Rankings, trained: Trained, per_user: dict[str, np.ndarray]
) -> None:
    from llm4rec_recbole.evaluation.users_file import write_users

    dataset = trained.test_data.dataset
    user_tokens = dataset.field2id_token[dataset.uid_field]
    item_tokens = dataset.field2id_token[dataset.iid_field]
    write_users(path, rankings, user_tokens, item_tokens, per_user)


def _milliseconds_per_user(rankings: Rankings) -> float:
    """Median over batches of the wall-clock time to score a user, in milliseconds."""
    return float(np.median(rankings.seconds / rankings.batch_sizes) * 1000)


def _cost(trained: Trained, inference_ms: float | None) -> dict[str, float | int | None]:
    """Table III; wall-clock seconds of training with its validation, from the first epoch on."""
    import torch

    parameters = list(trained.model.parameters())
    on_gpu = trained.config["device"].type == "cuda"
    peak = (
        torch.cuda.max_memory_allocated()
        if on_gpu
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {
        "train_seconds": round(trained.train_seconds, 3),
        "inference_ms_per_user": inference_ms,
        "inference_batch_size": trained.config["eval_batch_users"],
        "peak_memory_gb": round(peak / 2**30, 3),
        "model_size_mb": round(_model_bytes(trained.model) / 2**20, 3),
        "parameters": sum(p.numel() for p in parameters),
        "epochs": len(trained.trainer.train_loss_dict),
    }


def _model_bytes(model: Any) -> int:
    """Bytes of everything a model scores with: parameters, buffers, and fitted matrices."""
    import scipy.sparse as sp

    size = sum(t.numel() * t.element_size() for t in [*model.parameters(), *model.buffers()])
    for value in vars(model).values():
        if isinstance(value, np.ndarray):
            size += value.nbytes
        elif sp.issparse(value):
            size += value.data.nbytes
    return size


def _provenance(trained: Trained, started: float) -> dict[str, Any]:
    import torch

    config = trained.config
    data = sorted(Path(config["data_path"]).glob(f"{config['dataset']}.*"))
    return {
        "data_sha256": sha256_of(*data),
        "config_sha256": hashlib.sha256(_configuration(config).encode()).hexdigest(),
        "lock_sha256": _lock_sha256(),
        "git_commit": _git_commit(),
        "device": str(config["device"]),
        "hardware": hardware(config["device"]),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "pretrained": getattr(trained.model, "pretrained", None),
    }


def _configuration(config: Any) -> str:
    """The options that decide the result, as canonical JSON."""
    chosen = {
        key: value
        for key, value in config.final_config_dict.items()
        if key not in _NOT_CONFIGURATION and not key.endswith("_path")
    }
    return json.dumps(chosen, sort_keys=True, default=str)


def _lock_sha256() -> str:
    """Hash of what is installed: the versions found, which equal requirements.lock after `make`."""
    from importlib.metadata import distributions

    found = sorted({f"{d.metadata['Name'].lower()}=={d.version}" for d in distributions()})
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _git_commit() -> str | None:
    """The checkout's commit, with `-dirty` where package or properties differ from it."""
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():
        return None
    git = ["git", "-C", str(top)]
    try:
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "llm4rec_recbole", "properties"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no git commit for the record: {error}", file=sys.stderr)
        return None
    return commit + ("-dirty" if changed else "")


def _plain(metrics: Any) -> dict[str, float]:
    return {name: float(value) for name, value in (metrics or {}).items()}
