"""RecBole's BERT4Rec on this project's batches: windows with masked positions."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from llm4rec_recbole.recbole_compat.import_hook import patch


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
