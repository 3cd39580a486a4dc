"""How EnhancedGenRec learns from single events (26–33), and what it tells explanations (19)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from llm4rec_recbole.components.adaptation.adapter import EventLoss, NextItemEvent, adapt
from llm4rec_recbole.components.adaptation.equations import dislike_loss, normalised_entropy
from llm4rec_recbole.data.held_out import HeldOut


class OnlineLearning:
    """Mixin for EnhancedGenRec: what the online adapter and the explanations call."""

    def after_training(self: Any, held_out: HeldOut) -> None:
        """With the component adaptation: learn from the validation items, one by one."""
        if "adaptation" in self.components:
            adapt(self, held_out)

    def fix_content(self: Any) -> None:
        """Compute the items' content vectors once: no event changes what a title means."""
        self.content.freeze()

    def event_loss(self: Any, event: NextItemEvent) -> EventLoss:
        """The loss of one event, for OnlineAdapter, under the scores of the ranking.

        It is −log P(item | history), and `dislike_loss` for an item that the user did not like. An
        item that the user has had before is scored as if it were new.
        """
        device = self.item_bias.device
        history = torch.from_numpy(event.history[-self.length :]).to(device)[None]
        entries = None
        if event.query_time is not None:
            entries = self.retrieved.at([event.history], np.array([event.query_time])).to(device)
        scores = self.score(torch.tensor([event.user], device=device), history, entries)[0]
        seen = event.history[event.history != event.item]
        scores = scores.index_fill(0, torch.from_numpy(seen).to(device), -torch.inf)
        log_probability = scores.log_softmax(0)[event.item]
        return EventLoss(
            loss=-log_probability if event.liked else dislike_loss(log_probability, self.n_items),
            kind=event.kind,
            baseline_loss=math.log(self.n_items if event.liked else 2),
            uncertainty=float(normalised_entropy(scores.detach())),
        )

    @torch.no_grad()
    def aspect_distribution(self: Any, held_out: HeldOut, rows: np.ndarray) -> np.ndarray | None:
        """p_u of Eq. (19) for rows of `held_out`, (B, A); None without aspects."""
        self.eval()
        users, items, entries = self.inputs_of(held_out, rows)
        states = self(users, items, self.item_table(), entries, last_only=True)
        distribution = self.aspects(states)[0]
        return None if distribution is None else distribution.cpu().numpy()
