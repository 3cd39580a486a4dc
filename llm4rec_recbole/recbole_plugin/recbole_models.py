"""RecBole's LightGBM, XGBoost and BERT4Rec on the main path (training/run.py)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.recbole_compat.import_hook import patch, wrap


@patch("recbole.data.dataset.decisiontree_dataset", upstream="none: RecBole's files misspell it")
def default_token_threshold(module: ModuleType) -> None:
    """Encode columns of at most 10,000 tokens where `token_num_threshold` is not given."""

    @wrap(module.DecisionTreeDataset)
    def _convert_token_to_hash(convert: Any, self: Any) -> None:
        if self.config["token_num_threshold"] is None:
            self.config["token_num_threshold"] = 10_000
        convert(self)


@patch("recbole.trainer.trainer", upstream="none: DecisionTreeTrainer.fit has no callback_fn")
def report_validations_of_trees(module: ModuleType) -> None:
    """Let `fit` take `callback_fn` as RecBole's other trainers do, and end with the best trees."""

    @wrap(module.DecisionTreeTrainer)
    def fit(
        fit: Any,
        self: Any,
        train_data: Any,
        valid_data: Any = None,
        verbose: bool = True,
        saved: bool = True,
        show_progress: bool = False,
        callback_fn: Any = None,
    ) -> Any:
        self.callback_fn, self.validated_epochs = callback_fn, 0
        best = fit(self, train_data, valid_data, verbose, saved, show_progress)
        if saved:
            self.evaluate(valid_data, load_best_model=True)  # nothing else loads the best trees
        return best

    @wrap(module.DecisionTreeTrainer)
    def _valid_epoch(validate: Any, self: Any, valid_data: Any) -> Any:
        score, result = validate(self, valid_data)
        self.validated_epochs += self.eval_step
        if self.callback_fn is not None:
            self.callback_fn(self.validated_epochs - 1, score)
        return score, result


@patch("recbole.model.sequential_recommender.bert4rec", upstream="none")
def train_bert4rec_on_windows(module: ModuleType) -> None:
    """Train BERT4Rec on windows, and compute its loss at the masked positions.

    The option `loss` names the loss, `warmup` the schedule of the learning rate.

    RecBole computes the logits of every slot of every row, used or not, and holds them all.
    """
    module.BERT4Rec.batches = "cloze"  # training/batches.py
    module.BERT4Rec.schedule = "warmup_cosine"  # training/trainer.py

    @wrap(module.BERT4Rec)
    def __init__(init: Any, self: Any, config: Any, dataset: Any) -> None:
        import torch

        from llm4rec_recbole.training.catalogue_loss import catalogue_loss

        init(self, config, dataset)
        self.loss = catalogue_loss(config, dataset)
        if config["warmup"] is not None:
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @wrap(module.BERT4Rec)
    def calculate_loss(loss_as_recbole: Any, self: Any, interaction: Any) -> Any:
        if self.training and hasattr(self, "steps"):
            self.steps += 1
        if self.loss_type != "CE":
            return loss_as_recbole(self, interaction)
        positions = interaction[self.MASK_INDEX]  # (B, M), 0 where unused
        rows, slots = (positions > 0).nonzero(as_tuple=True)  # (targets,) each
        states = self.forward(interaction[self.MASK_ITEM_SEQ])  # (B, L, d)
        return self.loss(
            states[rows, positions[rows, slots]],
            self.item_embedding.weight[: self.n_items],
            interaction[self.POS_ITEMS][rows, slots],
            self.output_bias,
        )
