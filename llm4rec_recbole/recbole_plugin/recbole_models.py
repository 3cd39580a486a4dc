"""RecBole's LightGBM and XGBoost on the main path (training/run.py)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.recbole_compat.import_hook import patch


@patch("recbole.data.dataset.decisiontree_dataset", upstream="none: RecBole's files misspell it")
def default_token_threshold(module: ModuleType) -> None:
    """Encode columns of at most 10,000 tokens where `token_num_threshold` is not given."""
    convert = module.DecisionTreeDataset._convert_token_to_hash

    def convert_token_to_hash(self: Any) -> None:
        if self.config["token_num_threshold"] is None:
            self.config["token_num_threshold"] = 10_000
        convert(self)

    module.DecisionTreeDataset._convert_token_to_hash = convert_token_to_hash


@patch("recbole.trainer.trainer", upstream="none: DecisionTreeTrainer.fit has no callback_fn")
def report_validations_of_trees(module: ModuleType) -> None:
    """Let `fit` take `callback_fn` as RecBole's other trainers do, and end with the best trees."""
    trainer = module.DecisionTreeTrainer
    fit, validate = trainer.fit, trainer._valid_epoch

    def fit_with_callback(
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

    def valid_epoch(self: Any, valid_data: Any) -> Any:
        score, result = validate(self, valid_data)
        self.validated_epochs += self.eval_step
        if self.callback_fn is not None:
            self.callback_fn(self.validated_epochs - 1, score)
        return score, result

    trainer.fit, trainer._valid_epoch = fit_with_callback, valid_epoch


# RecBole's BERT4Rec on this project's batches: windows with masked positions.


@patch("recbole.model.sequential_recommender.bert4rec", upstream="none")
def train_bert4rec_on_windows(module: ModuleType) -> None:
    """Name BERT4Rec's batches and trainer, and compute its loss at the masked positions.

    The option `loss` names the loss, `warmup` the schedule of the learning rate.

    RecBole computes the logits of every slot of every row, used or not, and holds them all.
    """
    module.BERT4Rec.batches = "cloze"  # training/batches.py
    module.BERT4Rec.schedule = "warmup_cosine"  # training/trainer.py
    init = module.BERT4Rec.__init__

    def init_with_loss(self: Any, config: Any, dataset: Any) -> None:
        import torch

        from llm4rec_recbole.training.catalogue_loss import catalogue_loss

        init(self, config, dataset)
        self.loss = catalogue_loss(config, dataset)
        if config["warmup"] is not None:
            self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    module.BERT4Rec.__init__ = init_with_loss
    loss_as_recbole = module.BERT4Rec.calculate_loss

    def calculate_loss(self: Any, interaction: Any) -> Any:
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

    module.BERT4Rec.calculate_loss = calculate_loss
