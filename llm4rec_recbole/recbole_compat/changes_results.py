"""Evaluation: ties, counts that are no tensors, weights of a distributed run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.recbole_compat.import_hook import around, mends, shadow

if TYPE_CHECKING:
    import torch


OF_SAMPLES = ("rec.topk", "rec.items", "rec.meanrank", "rec.score", "data.label")


@around("recbole.evaluator.metrics")
@contextmanager
def scikit_learn_on_demand() -> Iterator[None]:
    """Import scikit-learn when AUC, MAE or RMSE is computed: a third of the time to import RecBole.

    RecBole takes three functions from `sklearn.metrics`; here each imports it when first called.
    """
    name = "sklearn.metrics"
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


@mends("recbole.evaluator.collector", upstream="RecBole #2131, #2191, #2194")
def counts_are_no_tensors(module: ModuleType) -> None:
    """Leave numbers and counters alone: RecBole calls `.cpu()` on them and crashes.

    They are what ItemCoverage, AveragePopularity, GiniIndex and TailPercentage need.
    """
    import torch

    def get_data_struct(self: Any) -> Any:
        found, own = module.DataStruct(), vars(self).pop("own_samples", None)
        for name, value in list(self.data_struct._data_dict.items()):
            found.set(name, value.cpu() if isinstance(value, torch.Tensor) else value)
            if name in OF_SAMPLES:
                found.set(name, found[name][:own])
                del self.data_struct[name]
        return found

    module.Collector.get_data_struct = get_data_struct


@mends("recbole.evaluator.collector", upstream="none: torch.topk orders equal scores by itself")
def fair_ties(module: ModuleType) -> None:
    """Order equal scores by a fixed pseudo-random permutation of the items.

    Else a constant score is as good as the items with low (or high) numbers happen to be.
    """
    import torch

    highest = torch.topk

    def topk(scores: torch.Tensor, k: int, dim: int = -1) -> tuple[torch.Tensor, torch.Tensor]:
        values, items = highest(scores, min(k + 1, scores.shape[1]), dim)  # (B, k + 1)
        tied = (values[:, 1:] == values[:, :-1]).any(dim=1)  # (B,)
        values, items = values[:, :k], items[:, :k]
        if tied.any():
            generator = torch.Generator().manual_seed(0)
            order = torch.randperm(scores.shape[1], generator=generator).to(scores.device)
            again = scores[tied][:, order].sort(dim=1, descending=True, stable=True)
            items[tied] = order[again.indices[:, :k]]
        return values, items

    shadow(module, "torch", topk=topk)


@mends("recbole.evaluator.evaluator", upstream="none: NumPy 2 shows np.float64(0.5) for 0.5")
def plain_numbers(module: ModuleType) -> None:
    """Report metrics as Python's numbers, fit for JSON."""
    evaluate = module.Evaluator.evaluate

    def evaluate_plainly(self: Any, dataobject: Any) -> dict[str, float]:
        return {name: float(value) for name, value in evaluate(self, dataobject).items()}

    module.Evaluator.evaluate = evaluate_plainly


@mends("recbole.trainer.trainer", upstream="RecBole PR #1872")
def distributed_average(module: ModuleType) -> None:
    """Weight each process's metrics by the users it evaluated, each of whom counts once.

    RecBole weights by the length of a batch's tuple, which is always 4, and its sampler gives some
    users to two processes so that all have equally many.
    """
    import torch

    evaluate_all = module.Trainer.evaluate

    def evaluate(self: Any, eval_data: Any, *args: Any, **kwargs: Any) -> Any:
        if eval_data and not self.config["single_spec"]:
            sampler = eval_data.sampler
            own = len(range(sampler.rank, eval_data.sample_size, sampler.num_replicas))
            self.samples = self.eval_collector.own_samples = own
        return evaluate_all(self, eval_data, *args, **kwargs)

    def map_reduce(self: Any, result: dict[str, float], num_sample: int) -> dict[str, float]:
        n = self.samples  # where it is 0, the means are NaN
        sums = [value * n if n else 0.0 for value in result.values()]
        total = torch.tensor([*sums, n], dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        mean = (total[:-1] / total[-1]).tolist()
        return dict(zip(result, mean))

    module.Trainer.evaluate = evaluate
    module.Trainer._map_reduce = map_reduce
