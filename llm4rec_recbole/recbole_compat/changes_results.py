"""Patches that change a number of RecBole's own models under RecBole's own protocol.

A reviewer who compares `--protocol=recbole` with RecBole needs this file only. Each patch here,
with what it changes:

    draw_no_negatives_for_cross_entropy   GRU4Rec and its like run with RecBole's defaults
    respect_use_gpu                       `use_gpu: False` means the CPU
    count_every_interaction               Pop counts an item as often as a batch holds it
    validate_after_the_only_epoch         a traditional model is validated, whatever `eval_step` is
    fuse_attention                        dropout of attention weights draws other random numbers
    fuse_optimizers                       Adam and AdamW round in another order
    skip_non_tensor_stats                 ItemCoverage and its like are computed
    break_ties_randomly                   equal scores are ordered at random, not by item number
    evaluate_loaders                      a run of several processes counts each user once
    average_over_users                    the same, for the average over the processes

`llm4rec_recbole/recbole_plugin/` replaces the following as a whole. Under `--protocol=recbole`,
these change numbers:

    reading.py      the reader of atomic files: times in float64, stable order, missing values
    sampling.py     the distribution `popularity` counts the training interactions only
    extensions.py   BERT4Rec's cross-entropy is computed at the masked positions only
    metrics.py      four metrics more: Coverage, Fairness, IntraListDiversity, Novelty
    protocols.py    nothing: the protocols `loo` and `temporal` replace RecBole's split, loaders
                    and ranking; `recbole` keeps them
    quick_start.py  `run_recbole` takes the path of the command, where dropout draws bytes
                    (training/trainer.py, ByteDropout) instead of floats

docs/recbole_changes.md says how far each patch moves the metrics. The patches of the other files
of this folder move none: a test compares RecBole's metrics with and without each patch.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from llm4rec_recbole.recbole_compat.import_hook import override, override_global, patch, wrap

if TYPE_CHECKING:
    import torch


@patch("recbole.config.configurator", upstream="none: RecBole's defaults refuse each other")
def draw_no_negatives_for_cross_entropy(module: ModuleType) -> None:
    """Remove the default sampler where the default loss is CE, so that GRU4Rec and its like run.

    RecBole refuses the loss CE together with a sampler for a model whose `loss_type` decides its
    input. Both are RecBole's defaults.
    """

    @wrap(module.Config)
    def _set_default_parameters(check: Any, self: Any) -> None:
        values = self.final_config_dict
        sequential = values["MODEL_TYPE"] == module.ModelType.SEQUENTIAL
        by_loss = not hasattr(self.model_class, "input_type") and values.get("loss_type") == "CE"
        if sequential and by_loss and "train_neg_sample_args" not in self.external_config_dict:
            values["train_neg_sample_args"] = None
        check(self)


@patch("recbole.config.configurator", upstream="none: RecBole reads use_gpu and ignores it")
def respect_use_gpu(module: ModuleType) -> None:
    """Run on the CPU when `use_gpu` is False."""

    @wrap(module.Config)
    def _init_device(init: Any, self: Any) -> None:
        if self.final_config_dict["use_gpu"] is False:
            self.final_config_dict["gpu_id"] = ""
        init(self)


@patch("recbole.model.general_recommender.pop", upstream="none")
def count_every_interaction(module: ModuleType) -> None:
    """Count an item as often as a batch holds it; RecBole's `item_cnt[items] + 1` counts it
    once. RecBole's Pop also counts the sampled negatives. properties/model/Pop.yaml draws none."""
    import torch

    @override(module.Pop)
    def calculate_loss(self: Any, interaction: Any) -> Any:
        items = interaction[self.ITEM_ID]
        self.item_cnt.index_add_(0, items, torch.ones_like(items)[:, None])
        self.max_cnt = torch.max(self.item_cnt, dim=0)[0]
        return torch.nn.Parameter(torch.zeros(1)).to(self.device)


@patch("recbole.trainer.trainer", upstream="none")
def validate_after_the_only_epoch(module: ModuleType) -> None:
    """Validate a traditional model: it trains for one epoch, so `eval_step` > 1 skipped it."""

    @wrap(module.TraditionalTrainer)
    def __init__(init: Any, self: Any, config: Any, model: Any) -> None:
        init(self, config, model)
        self.eval_step = min(self.eval_step, self.epochs)


@patch("recbole.model.layers", upstream="none")
def fuse_attention(module: ModuleType) -> None:
    """Compute multi-head attention by one projection and PyTorch's fused kernel."""
    import torch
    from torch.nn import functional

    @override(module.MultiHeadAttention)
    def forward(self: Any, input_tensor: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        B, T, d = input_tensor.shape
        h = self.num_attention_heads
        projections = (self.query, self.key, self.value)
        weight = torch.cat([linear.weight for linear in projections])  # (3d, d)
        bias = torch.cat([linear.bias for linear in projections])  # (3d,)
        heads = functional.linear(input_tensor, weight, bias).view(B, T, 3, h, d // h)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # (B, h, T, d / h) each
        context = functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=attention_mask.to(q.dtype).expand(B, 1, T, T),
            dropout_p=self.attn_dropout.p if self.training else 0.0,
        )
        hidden = self.dense(context.transpose(1, 2).reshape(B, T, d))  # (B, T, d)
        return self.LayerNorm(self.out_dropout(hidden) + input_tensor)


@patch("recbole.trainer.trainer", upstream="none: one kernel for each operation and parameter")
def fuse_optimizers(module: ModuleType) -> None:
    """Let Adam and AdamW update all parameters in one kernel."""
    from torch import optim

    override_global(
        module,
        "optim",
        Adam=partial(optim.Adam, fused=True),
        AdamW=partial(optim.AdamW, fused=True),
    )


_PER_SAMPLE = ("rec.topk", "rec.items", "rec.meanrank", "rec.score", "data.label")


@patch("recbole.evaluator.collector", upstream="RecBole #2131, #2191, #2194")
def skip_non_tensor_stats(module: ModuleType) -> None:
    """Leave numbers and counters as they are: RecBole calls `.cpu()` on them and crashes.

    ItemCoverage, AveragePopularity, GiniIndex and TailPercentage read them. In a run of several
    processes `own_samples` rows of the collector are this process's own; the others are repeats.
    """
    import torch

    @override(module.Collector)
    def get_data_struct(self: Any) -> Any:
        struct, n_own = module.DataStruct(), vars(self).pop("own_samples", None)
        for name, value in list(self.data_struct._data_dict.items()):
            struct.set(name, value.cpu() if isinstance(value, torch.Tensor) else value)
            if name in _PER_SAMPLE:
                struct.set(name, struct[name][:n_own])
                del self.data_struct[name]
        return struct


@patch("recbole.evaluator.collector", upstream="none: torch.topk orders equal scores by itself")
def break_ties_randomly(module: ModuleType) -> None:
    """Order equal scores by a fixed pseudo-random permutation of the items. Otherwise a constant
    score is as good as the items with low (or high) numbers happen to be."""
    import torch

    unordered_topk = torch.topk

    def topk(scores: torch.Tensor, k: int, dim: int = -1) -> tuple[torch.Tensor, torch.Tensor]:
        values, items = unordered_topk(scores, min(k + 1, scores.shape[1]), dim)  # (B, k + 1)
        tied = (values[:, 1:] == values[:, :-1]).any(dim=1)  # (B,)
        values, items = values[:, :k], items[:, :k]
        if tied.any():
            generator = torch.Generator().manual_seed(0)
            order = torch.randperm(scores.shape[1], generator=generator).to(scores.device)
            by_score = scores[tied][:, order].sort(dim=1, descending=True, stable=True)
            items[tied] = order[by_score.indices[:, :k]]
        return values, items

    override_global(module, "torch", topk=topk)


@patch("recbole.trainer.trainer", upstream="RecBole #2212, PR #1872")
def evaluate_loaders(module: ModuleType) -> None:
    """The one replacement of `Trainer.evaluate`.

    It loads the best checkpoint without unpickling. A loader with a method `evaluate(model)`, such
    as HeldOutLoader, ranks by itself. A run of several processes notes how many of its users are
    its own: RecBole's sampler gives some users to two processes.
    """

    @wrap(module.Trainer)
    def evaluate(
        evaluate_as_recbole: Any,
        self: Any,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: str | Path | None = None,
        show_progress: bool = False,
    ) -> Any:
        from llm4rec_recbole.recbole_compat import model_state

        if not eval_data:
            return None
        single_process = self.config["single_spec"]
        if load_best_model:
            if not single_process:
                import torch

                torch.distributed.barrier()  # the first process may still be saving
            path = model_file or self.saved_model_file
            model_state.load_weights(self.model, path, self.device)
            self.logger.info(f"Loading model structure and parameters from {path}")
        if hasattr(eval_data, "evaluate"):
            return eval_data.evaluate(self.model)
        if not single_process:
            sampler = eval_data.sampler
            n_own = len(range(sampler.rank, eval_data.sample_size, sampler.num_replicas))
            self.own_samples = self.eval_collector.own_samples = n_own
        return evaluate_as_recbole(self, eval_data, False, None, show_progress)


@patch("recbole.trainer.trainer", upstream="RecBole PR #1872")
def average_over_users(module: ModuleType) -> None:
    """Weight each process's metrics by the users that it evaluated. RecBole weights them by the
    length of a batch's tuple, which is always 4."""
    import torch

    @override(module.Trainer)
    def _map_reduce(self: Any, result: dict[str, float], num_sample: int) -> dict[str, float]:
        n = self.own_samples  # the means are NaN where it is 0
        sums = [value * n if n else 0.0 for value in result.values()]
        total = torch.tensor([*sums, n], dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        mean = (total[:-1] / total[-1]).tolist()
        return dict(zip(result, mean))
