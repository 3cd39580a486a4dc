"""Patches that move no number: today's libraries, speed, runs of several processes."""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.recbole_compat.import_hook import (
    import_names_late,
    override,
    override_global,
    patch,
    replace,
    while_importing,
    wrap,
)

if TYPE_CHECKING:
    import torch


@patch("recbole", upstream="RecBole PR #2203")
def restore_numpy_names(module: ModuleType) -> None:
    """Define `numpy.float` and `numpy.str`, which RecBole uses and NumPy 2 removed."""
    import numpy as np

    vars(np).setdefault("float", float)
    vars(np).setdefault("str", str)


@patch("recbole.config.configurator", upstream="RecBole PR #2203")
def skip_numpy_aliases(module: ModuleType) -> None:
    """Skip the eight NumPy aliases that RecBole sets from names that NumPy 2 removed."""
    module.Config.compatibility_settings = lambda self: None


@patch("recbole.model", upstream="RecBole #2034, #2090, #2185")
def restore_dok_update(module: ModuleType) -> None:
    """Define `dok_matrix._update`, which SciPy 1.13 removed. LightGCN, NGCF, NCL, GCMC,
    SpectralCF, KGIN and MCCLK fill their adjacency matrix with it."""
    from scipy.sparse import dok_matrix

    def update(self: Any, values: dict[tuple[int, int], float]) -> None:
        self._dict.update(values)

    if not hasattr(dok_matrix, "_update"):
        dok_matrix._update = update


@patch("recbole.trainer.trainer", upstream="none: torch.cuda.amp is deprecated")
def use_torch_amp(module: ModuleType) -> None:
    """Scale gradients through `torch.amp`; the old name prints a warning in each epoch."""
    import torch

    scaler, autocast = torch.amp.GradScaler, torch.amp.autocast
    override_global(
        module, "amp", GradScaler=partial(scaler, "cuda"), autocast=partial(autocast, "cuda")
    )


@patch("recbole.evaluator.evaluator", upstream="none: NumPy 2 prints np.float64(0.5) for 0.5")
def metrics_as_floats(module: ModuleType) -> None:
    """Return metrics as Python floats, which JSON accepts."""

    @wrap(module.Evaluator)
    def evaluate(evaluate: Any, self: Any, dataobject: Any) -> dict[str, float]:
        return {name: float(value) for name, value in evaluate(self, dataobject).items()}


# Speed. RecBole imports all 94 models to find one; SLIMElastic alone brings scikit-learn and
# SciPy's statistics. An import costs up to a second of each start.
for _kind in ("general", "context_aware", "sequential", "knowledge_aware"):
    import_names_late(f"recbole.model.{_kind}_recommender")


@contextmanager
def _functions_imported_late(name: str) -> Iterator[None]:
    """In the block, the names that are imported from the module `name` are functions that import
    it at their first call."""
    if name in sys.modules:
        yield
        return

    def function(wanted: str) -> Any:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        return lambda *args: getattr(importlib.import_module(name), wanted)(*args)

    sys.modules[name] = ModuleType(name)
    vars(sys.modules[name])["__getattr__"] = function
    try:
        yield
    finally:
        del sys.modules[name]


@while_importing("recbole.evaluator.metrics")
def import_scikit_learn_late() -> AbstractContextManager[None]:
    """Import scikit-learn when AUC, MAE or RMSE is computed: it takes a third of RecBole's
    import."""
    return _functions_imported_late("sklearn.metrics")


@while_importing("recbole.utils.utils")
@contextmanager
def import_tensorboard_and_tables_late() -> Iterator[None]:
    """Import TensorBoard when a trainer is made, which writes to it, and the tables of RecBole's
    log when one is drawn."""
    with _functions_imported_late("torch.utils.tensorboard"), _functions_imported_late("texttable"):
        yield


@patch("recbole.trainer.trainer", upstream="none: torch imports its compiler for an optimizer")
def import_compiler_late(module: ModuleType) -> None:
    """Leave out torch's compiler, which every optimizer imports to tell it to look away: 1.5 s.
    Once something else has imported it, the optimizers call it as before."""
    import torch

    def unless_compiling(plain: Any, guarded: Any) -> Any:
        @functools.wraps(guarded)
        def method(*args: Any, **kwargs: Any) -> Any:
            call = guarded if "torch._dynamo" in sys.modules else plain
            return call(*args, **kwargs)

        return method

    def as_step(step: Any) -> Any:
        def plain(self: Any, *args: Any, **kwargs: Any) -> Any:
            with torch.set_grad_enabled(self.defaults["differentiable"]):
                return step(self, *args, **kwargs)

        return plain

    base = torch.optim.Optimizer
    for name in ("add_param_group", "load_state_dict", "state_dict", "zero_grad"):
        guarded = getattr(base, name)
        if hasattr(guarded, "__wrapped__"):
            setattr(base, name, unless_compiling(guarded.__wrapped__, guarded))
    for optimizer in vars(torch.optim).values():
        step = vars(optimizer).get("step") if isinstance(optimizer, type) else None
        if step is not None and step.__code__.co_name == "_use_grad":
            optimizer.step = unless_compiling(as_step(step.__wrapped__), step)


@patch("recbole.model.sequential_recommender.sine", upstream="none")
def disable_anomaly_detection(module: ModuleType) -> None:
    """Turn off autograd's anomaly detection, which SINE's module turns on for the whole process.
    Each backward pass of each model would be checked for NaN operation by operation."""
    import torch

    torch.autograd.set_detect_anomaly(False)


@patch("recbole.model.layers", upstream="none")
def fuse_gelu(module: ModuleType) -> None:
    """Compute the exact GELU in one operation; RecBole uses five."""
    from torch.nn import functional

    module.FeedForward.gelu = lambda self, x: functional.gelu(x)


@patch("recbole.model.general_recommender.lightgcn", upstream="none: a slow backward pass")
def propagate_in_csr(module: ModuleType) -> None:
    """Multiply by LightGCN's adjacency matrix in CSR form, forward and backward.

    The matrix is symmetric, so the gradient needs no transpose. Forward and backward together
    take a fifth of the time of `torch.sparse.mm` on ml-100k.
    """
    import torch

    class Adjacency:
        """A symmetric sparse matrix (n, n) that never changes; torch cannot copy one in CSR."""

        def __init__(self, matrix: torch.Tensor) -> None:
            self.matrix = matrix

        def to(self, device: Any) -> Adjacency:
            return Adjacency(self.matrix.to(device))

        def __deepcopy__(self, memo: dict) -> Adjacency:
            return self

    class Propagate(torch.autograd.Function):
        """A @ x for a symmetric sparse A (n, n) and dense x (n, d)."""

        @staticmethod
        def forward(ctx: Any, adjacency: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            ctx.adjacency = adjacency
            return adjacency @ x

        @staticmethod
        def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[None, torch.Tensor]:
            return None, ctx.adjacency @ gradients[0]

    adjacency = module.LightGCN.get_norm_adj_mat

    def get_norm_adj_mat(self: Any) -> Adjacency:
        with warnings.catch_warnings():
            for message in ("Sparse CSR tensor support is in beta", "torch.sparse.SparseTensor"):
                warnings.filterwarnings("ignore", message=message)
            return Adjacency(adjacency(self).coalesce().to_sparse_csr())

    @override(module.LightGCN)
    def forward(self: Any) -> tuple[torch.Tensor, ...]:
        layers = [self.get_ego_embeddings()]  # each (n_users + n_items, d)
        for _ in range(self.n_layers):
            layers.append(Propagate.apply(self.norm_adj_matrix.matrix, layers[-1]))
        mean = torch.stack(layers, dim=1).mean(dim=1)
        return torch.split(mean, [self.n_users, self.n_items])

    module.LightGCN.get_norm_adj_mat = get_norm_adj_mat


# Runs of several processes: patched children, and CPUs (gloo).


def run_recboles(rank: int, *args: Any) -> None:
    """RecBole's function of the same name. A spawned process imports it by name, and so imports
    llm4rec_recbole, which patches RecBole, first."""
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

    @wrap(module.Config)
    def _init_device(init: Any, self: Any) -> None:
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


@patch("recbole.trainer.trainer", upstream="none: a GPU for each process is hard-coded")
def average_gradients_on_cpus(module: ModuleType) -> None:
    """Average gradients on CPUs too. torch shares batch statistics on GPUs only."""
    import torch

    @wrap(module.AbstractTrainer)
    def __init__(init: Any, self: Any, config: Any, model: Any) -> None:
        if config["single_spec"] or config["device"].type == "cuda":
            return init(self, config, model)
        self.config, self.model = config, model
        self.distributed_model = torch.nn.parallel.DistributedDataParallel(model)
