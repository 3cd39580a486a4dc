"""Writes the run record: what was measured, what it cost, and exactly what it was made from."""

from __future__ import annotations

import hashlib
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from llm4rec_recbole.evaluation.beyond_accuracy import beyond_accuracy
from llm4rec_recbole.evaluation.energy import EnergyMeter
from llm4rec_recbole.evaluation.metrics import accuracy
from llm4rec_recbole.evaluation.paths import Run
from llm4rec_recbole.evaluation.ranking import Rankings
from llm4rec_recbole.evaluation.users_file import write_users
from llm4rec_recbole.files import sha256_of, write_json
from llm4rec_recbole.machine import hardware
from llm4rec_recbole.recbole_compat.model_state import configuration


@dataclass(eq=False)
class TrainedRun:
    """A model with its trainer, and once it is trained what the training gave."""

    config: Any  # RecBole's Config
    model: Any
    trainer: Any  # RecBole's; None for a model that was restored from its checkpoint
    started: float = field(default_factory=time.time)  # Unix time
    train_seconds: float = 0.0  # wall-clock, validation included
    energy: EnergyMeter = field(default_factory=EnergyMeter)
    padding_share: float | None = None  # of the input positions of training; None without windows
    valid_metrics: Mapping[str, float] = field(default_factory=dict)  # of the best validation
    #: Each validation: {"epoch": counted from 1, "ndcg@10" or another valid_metric: its value}.
    history: list[dict[str, float]] = field(default_factory=list)


def write_record(run: TrainedRun, test: Rankings | Mapping[str, float], dataset: Any) -> Path:
    """Write the users file and the record of one run; return the record's path.

    test: the rankings of the test users, or RecBole's metrics under RecBole's own protocol, which
    has no users file. dataset: RecBole's data set of the test phase. The users file comes first:
    a record never stands without the users that it was computed from.
    """
    config, model = run.config, run.model
    method = config["method"] or config["model"]
    name = Run(config["dataset"], config["protocol"], method, config["seed"])
    idle = getattr(model, "idle_components", {})
    chosen = getattr(model, "chosen_on_validation", {})
    adaptation = getattr(model, "adaptation_summary", None)  # between the rankings
    inference_ms = None
    if isinstance(test, Rankings):
        beyond, per_user = beyond_accuracy(test, config, dataset)
        users, items = (dataset.field2id_token[f] for f in (dataset.uid_field, dataset.iid_field))
        write_users(name.users(config["results_dir"]), test, users, items, per_user)
        inference_ms = float(np.median(test.seconds / test.batch_sizes) * 1000)
        metrics: dict[str, Any] = {
            "full": accuracy(test.rank_full),
            "uni100": accuracy(test.rank_uni100),
            "pop100": accuracy(test.rank_pop100),
            **beyond,
        }
    else:
        metrics = _floats(test)
    path = name.record(config["results_dir"])
    content = {
        **asdict(name),
        "components": [c for c in getattr(model, "components", ()) if c not in idle],
        **({"chosen_on_validation": dict(chosen)} if chosen else {}),
        **({"adaptation": asdict(adaptation)} if adaptation is not None else {}),
        "metrics": {"valid": _floats(run.valid_metrics), "test": metrics},
        "history": run.history,
        "cost": _cost(run, inference_ms),
        "provenance": _provenance(run),
    }
    write_json(path, content)
    return path


def _cost(run: TrainedRun, inference_ms: float | None) -> dict[str, Any]:
    """Table III. Seconds are wall-clock, from the first epoch on, validation included."""
    import torch

    on_gpu = run.config["device"].type == "cuda"
    peak = (
        torch.cuda.max_memory_allocated()
        if on_gpu
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    return {
        "train_seconds": round(run.train_seconds, 3),
        "inference_ms_per_user": inference_ms,
        "inference_batch_size": run.config["eval_batch_users"],
        "peak_memory_gb": round(peak / 2**30, 3),
        "model_size_mb": round(_model_bytes(run.model) / 2**20, 3),
        "parameters": sum(p.numel() for p in _parameters(run.model)),
        "epochs": len(getattr(run.trainer, "train_loss_dict", ())) or run.trainer.epochs,
        "padding_share": None if run.padding_share is None else round(run.padding_share, 4),
        **run.energy.record(),
    }


def _parameters(model: Any) -> list[Any]:
    """The model's parameters; a model of decision trees has none."""
    return list(model.parameters()) if hasattr(model, "parameters") else []


def _model_bytes(model: Any) -> int:
    """Bytes of everything a model scores with: parameters, buffers, and fitted matrices."""
    import scipy.sparse as sp

    tensors = [*_parameters(model), *(model.buffers() if hasattr(model, "buffers") else ())]
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    for value in vars(model).values():
        if isinstance(value, np.ndarray):
            size += value.nbytes
        elif sp.issparse(value):
            size += value.data.nbytes
    return size


def _provenance(run: TrainedRun) -> dict[str, Any]:
    import torch

    config = run.config
    idle = getattr(run.model, "idle_components", {})
    debiasing = getattr(run.model, "debiasing", None)
    sample_share = getattr(debiasing, "effective_sample_share", None)  # of the IPS weights (14)
    data = sorted(Path(config["data_path"]).glob(f"{config['dataset']}.*"))
    return {
        "data_sha256": sha256_of(*data),
        "config_sha256": hashlib.sha256(configuration(config).encode()).hexdigest(),
        "lock_sha256": lock_sha256(),
        "git_commit": _git_commit(),
        "device": str(config["device"]),
        "hardware": hardware(config["device"]),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(run.started)),
        "pretrained": getattr(run.model, "pretrained", None),
        "llm_dtype": getattr(run.model, "llm_dtype", None),
        "llm_layers": _llm_layers(run.model),
        **({"effective_sample_share": sample_share} if sample_share is not None else {}),
        **({"idle_components": idle} if idle else {}),
    }


def _llm_layers(model: Any) -> str | None:
    """How many layers of its language model a model uses, such as "2 of 30"; None without one."""
    for module in model.modules() if hasattr(model, "modules") else ():
        if (total := getattr(module, "total_layers", None)) is not None:
            return f"{len(module.layers)} of {total}"
    return None


@cache
def lock_sha256() -> str:
    """Hash of the installed versions, which equal requirements.lock after `make`."""
    from importlib.metadata import distributions

    installed = sorted({f"{d.metadata['Name'].lower()}=={d.version}" for d in distributions()})
    return hashlib.sha256("\n".join(installed).encode()).hexdigest()


def _git_commit() -> str | None:
    """The checkout's commit, with `-dirty` where package or properties differ from it."""
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():
        return None

    def git(*words: str) -> str:
        command = ["git", "-C", str(top), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        commit = git("rev-parse", "HEAD")
        changed = git("status", "--porcelain", "--", "llm4rec_recbole", "properties")
    except (OSError, subprocess.CalledProcessError):
        print("no git commit for the record: git finds none", file=sys.stderr)
        return None
    return commit + ("-dirty" if changed else "")


def _floats(metrics: Any) -> dict[str, float]:
    return {name: float(value) for name, value in (metrics or {}).items()}
