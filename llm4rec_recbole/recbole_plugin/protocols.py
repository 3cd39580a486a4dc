"""Exact-order protocols, window training and one-pass ranking, where RecBole looks for them.

Only runs whose option `protocol` is `loo` or `temporal` are touched; with `protocol: recbole`
RecBole splits, loads and evaluates as it always does.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.errors import InputError
from llm4rec_recbole.recbole_compat.config import OWN_PROTOCOLS
from llm4rec_recbole.recbole_compat.import_hook import mends, replace


@mends("recbole.data.dataset.dataset", upstream="RecBole #2204: times are cast to float32")
def split_in_exact_order(module: ModuleType) -> None:
    """Split by data/splits.py, on times as they were read."""
    build_as_recbole = module.Dataset.build

    def build(self: Any) -> list[Any]:
        if self.config["protocol"] not in OWN_PROTOCOLS:
            parts = build_as_recbole(self)
            if not len(parts[0]):
                hint = "the data set is too small"
                raise InputError("the split leaves no interaction to train on", hint=hint)
            return parts
        from llm4rec_recbole.training.dataset import split_dataset

        return split_dataset(self)

    module.Dataset.build = build


@mends("recbole.data.utils", upstream="none: the table of loaders is local to a function")
def own_loaders(module: ModuleType) -> None:
    """Train sequence models on windows, and evaluate held-out items in one pass."""
    of_recbole = module.get_dataloader

    def get_dataloader(config: Any, phase: str) -> Any:
        if config["protocol"] not in OWN_PROTOCOLS:
            return of_recbole(config, phase)
        from llm4rec_recbole.training import batches
        from llm4rec_recbole.training.dataset import WindowDataset

        def loader(config: Any, dataset: Any, *samplers: Any, shuffle: bool = False) -> Any:
            if phase != "train":
                return batches.HeldOutLoader(config, dataset)
            if isinstance(dataset, WindowDataset):
                return batches.OF_MODEL[config["model"]](config, dataset)
            return of_recbole(config, phase)(config, dataset, *samplers, shuffle=shuffle)

        return loader

    replace(module, "get_dataloader", get_dataloader)


@mends("recbole.trainer.trainer", upstream="RecBole #835, #840, #1576: no per-user results")
def rank_held_out_items(module: ModuleType) -> None:
    """Let every trainer validate on our held-out items, whichever model it trains.

    Loading the best checkpoint first is the business of mends/training.py, which wraps this.
    """
    evaluate_as_recbole = module.Trainer.evaluate

    def evaluate(
        self: Any,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: str | None = None,
        show_progress: bool = False,
    ) -> Any:
        from llm4rec_recbole.training.batches import HeldOutLoader

        if not isinstance(eval_data, HeldOutLoader):
            return evaluate_as_recbole(self, eval_data, load_best_model, model_file, show_progress)
        from llm4rec_recbole.evaluation.scoring import validate

        return validate(self.model, eval_data)

    module.Trainer.evaluate = evaluate


@mends("recbole.trainer.trainer", upstream="none")
def validate_after_the_only_epoch(module: ModuleType) -> None:
    """A traditional model trains for one epoch; with `eval_step` > 1 it was never validated."""
    init = module.TraditionalTrainer.__init__

    def init_with_one_step(self: Any, config: Any, model: Any) -> None:
        init(self, config, model)
        self.eval_step = min(self.eval_step, self.epochs)

    module.TraditionalTrainer.__init__ = init_with_one_step
