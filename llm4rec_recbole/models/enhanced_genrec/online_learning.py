"""How EnhancedGenRec learns from single events (26–33), and its taste for explanations (19)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from llm4rec_recbole.components.adaptation.adapter import EventLoss, NextItemEvent
from llm4rec_recbole.components.adaptation.equations import dislike_loss, normalised_entropy
from llm4rec_recbole.components.adaptation.interleave import (
    AdaptationSummary,
    of_kind,
    prequential_rows,
)
from llm4rec_recbole.components.item_relations import RelationTerm
from llm4rec_recbole.data.held_out import HeldOut, Outcomes


class OnlineLearning:
    """Mixin for EnhancedGenRec: what the online adapter and the explanations call."""

    #: What the model has learned between its rankings; None before, and without adaptation.
    adaptation_summary: AdaptationSummary | None = None

    def prequential_rows(
        self: Any, valid: HeldOut, outcomes: Outcomes, query_times: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Yield the test rows to rank; with the component adaptation, learn in between.

        See components/adaptation/interleave.py. Without it, all rows are one group.
        """
        feedback, relations = None, self._learning_relations(outcomes)
        if self.adaptation is not None and "adaptation" not in self.idle_components:
            feedback = self.feedback or self.choose_feedback(valid, outcomes)
            if feedback is None:
                off = "adaptation" if relations is None else "gradients of adaptation"
                self.idle_components[off] = "no gain in a replay of the validation items"
        if feedback is None and relations is None:
            self.adaptation_summary = None  # it may be that of the replay
            yield from [np.arange(len(query_times))] if len(query_times) else []
            return
        outcomes = outcomes if feedback is None else of_kind(outcomes, feedback)
        gradients = feedback is not None
        yield from prequential_rows(self, valid, outcomes, query_times, gradients, relations)

    def learn_relations(self: Any, valid: HeldOut, outcomes: Outcomes) -> None:
        """Let the item relations learn from all validation items, as they do during the test.

        The weights that adaptation changed stand in a file beside the checkpoint; relations do not.
        """
        relations = self._learning_relations(outcomes)
        if relations is not None:
            unranked = np.zeros(0)
            for _ in prequential_rows(self, valid, outcomes, unranked, False, relations):
                raise AssertionError("there is nothing to rank")

    def _learning_relations(self: Any, outcomes: Outcomes) -> RelationTerm | None:
        """The item relations, where they learn from the validation items."""
        if self.adaptation is not None and np.ptp(outcomes.times) == 0:
            self.idle_components["adaptation"] = "the same time for all validation items"
        if self.adaptation is None or "adaptation" in self.idle_components:
            return None
        learns = self.adaptation_relations and isinstance(self.relations, RelationTerm)
        return self.relations if learns else None

    def fix_content(self: Any) -> None:
        """Compute the items' content vectors once: no event changes what a title means."""
        self.content.freeze()

    def event_losses(self: Any, events: Sequence[NextItemEvent]) -> list[EventLoss]:
        """The loss of each event, for OnlineAdapter, under the scores of the ranking.

        It is −log P(item | history), and `dislike_loss` for an item that the user did not like. An
        item that the user has had before is scored as if it were new.
        """
        device = self.item_bias.device
        histories = [event.history[-self.length :] for event in events]
        items = np.zeros((len(events), max(map(len, histories))), dtype=np.int64)
        seen = torch.zeros(len(events), self.n_items, dtype=torch.bool)
        for row, (event, history) in enumerate(zip(events, histories)):
            items[row, : len(history)] = history
            seen[row, torch.from_numpy(event.history)] = True
            seen[row, event.item] = False
        users = torch.tensor([event.user for event in events], device=device)
        scores = self.score(users, torch.from_numpy(items).to(device), self._entries_of(events))
        scores = scores.masked_fill(seen.to(device), -torch.inf)
        targets = torch.tensor([event.item for event in events], device=device)
        log_probability = scores.log_softmax(1).gather(1, targets[:, None])[:, 0]  # (B,)
        uncertainty = normalised_entropy(scores.detach()).tolist()
        return [
            EventLoss(
                loss=-value if event.liked else dislike_loss(value, self.n_items),
                kind=event.kind,
                baseline_loss=math.log(self.n_items if event.liked else 2),
                uncertainty=uncertain,
            )
            for event, value, uncertain in zip(events, log_probability, uncertainty)
        ]

    def _entries_of(self: Any, events: Sequence[NextItemEvent]) -> torch.Tensor | None:
        """Retrieved entries (B, L, K) of events with a query time; None where one has none."""
        times = [event.query_time for event in events]
        if None in times:
            return None
        histories = [event.history for event in events]
        users = np.array([event.user for event in events])
        return self.retrieved.at(histories, np.array(times), users).to(self.item_bias.device)

    @torch.no_grad()
    def aspect_distribution(self: Any, held_out: HeldOut, rows: np.ndarray) -> np.ndarray | None:
        """p_u of Eq. (19) for rows of `held_out`, (B, A); None without aspects."""
        self.eval()
        users, items, entries = self.inputs_of(held_out, rows)
        states = self(users, items, self.item_table(), entries, last_only=True)
        distribution = self.aspects(states)[0]
        return None if distribution is None else distribution.cpu().numpy()
