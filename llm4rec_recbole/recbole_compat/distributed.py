"""Several processes: children that are mended too, and runs on CPUs (gloo)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.recbole_compat.import_hook import mends, replace


def run_recboles(rank: int, *args: Any) -> None:
    """RecBole's function for one process of several, in a module that readies RecBole.

    A spawned process starts from nothing and finds its function by name: to find this one it
    imports llm4rec_recbole first.
    """
    from recbole.quick_start import run_recbole

    model, dataset, config_files, others = args
    options = (others.pop("config_dict", None) or {}) | {"local_rank": rank}
    run_recbole(model, dataset, config_files, config_dict=options, **others)


@mends("recbole.quick_start.quick_start", upstream="none: spawned processes import RecBole alone")
def children_are_mended(module: ModuleType) -> None:
    """Spawn `run_recboles` of this module."""
    replace(module, "run_recboles", run_recboles)


@mends("recbole.config.configurator", upstream="none: nccl and cuda are hard-coded")
def processes_on_cpus(module: ModuleType) -> None:
    """Let several processes run on CPUs, where there is no GPU or `use_gpu` is False."""
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


@mends("recbole.trainer.trainer", upstream="none: a GPU for each process is hard-coded")
def gradients_on_cpus(module: ModuleType) -> None:
    """Average gradients on CPUs too; batch statistics are shared on GPUs only, as torch has it."""
    import torch

    init = module.AbstractTrainer.__init__

    def init_on_device(self: Any, config: Any, model: Any) -> None:
        if config["single_spec"] or config["device"].type == "cuda":
            return init(self, config, model)
        self.config, self.model = config, model
        self.distributed_model = torch.nn.parallel.DistributedDataParallel(model)

    module.AbstractTrainer.__init__ = init_on_device
