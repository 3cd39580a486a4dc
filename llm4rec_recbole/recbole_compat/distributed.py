"""Patches for runs of several processes: patched children, and CPUs (gloo)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.recbole_compat.import_hook import patch, replace


def run_recboles(rank: int, *args: Any) -> None:
    """RecBole's function of the same name, in a module that patches RecBole.

    A spawned process starts from nothing and imports its function by name. To import this
    function it imports llm4rec_recbole first.
    """
    from recbole.quick_start import run_recbole

    model, dataset, config_files, others = args
    options = (others.pop("config_dict", None) or {}) | {"local_rank": rank}
    run_recbole(model, dataset, config_files, config_dict=options, **others)


@patch("recbole.quick_start.quick_start", upstream="none: spawned processes import RecBole alone")
def patch_spawned_workers(module: ModuleType) -> None:
    """Spawn `run_recboles` of this module."""
    replace(module, "run_recboles", run_recboles)


@patch("recbole.config.configurator", upstream="none: nccl and cuda are hard-coded")
def run_processes_on_cpus(module: ModuleType) -> None:
    """Run several processes on CPUs where there is no GPU, or where `use_gpu` is False."""
    import torch

    init = module.Config._init_device

    def init_device(self: Any) -> None:
        values = self.final_config_dict
        if "local_rank" not in values or (values["use_gpu"] and torch.cuda.is_available()):
            return init(self)
        values |= {"single_spec": False, "device": torch.device("cpu"), "gpu_id": ""}
        torch.distributed.init_process_group(
            backend="gloo",
            rank=values["local_rank"] + values["offset"],
            world_size=values["world_size"],
            init_method=f"tcp://{values['ip']}:{values['port']}",
        )
        if values["local_rank"] != 0:
            values |= {"state": "error", "show_progress": False, "verbose": False}

    module.Config._init_device = init_device


@patch("recbole.trainer.trainer", upstream="none: a GPU for each process is hard-coded")
def average_gradients_on_cpus(module: ModuleType) -> None:
    """Average gradients on CPUs too. torch shares batch statistics on GPUs only."""
    import torch

    init = module.AbstractTrainer.__init__

    def init_on_device(self: Any, config: Any, model: Any) -> None:
        if config["single_spec"] or config["device"].type == "cuda":
            return init(self, config, model)
        self.config, self.model = config, model
        self.distributed_model = torch.nn.parallel.DistributedDataParallel(model)

    module.AbstractTrainer.__init__ = init_on_device
