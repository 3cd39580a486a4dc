"""What others call of EnhancedGenRec: scores, learning from single events (26–33), taste (19)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm4rec_recbole.components.adaptation.adapter import EventLoss, NextItemEvent
from llm4rec_recbole.components.adaptation.equations import dislike_loss, normalised_entropy
from llm4rec_recbole.components.adaptation.prequential import (
    AdaptationSummary,
    of_kind,
    prequential_rows,
)
from llm4rec_recbole.components.item_relations import RelationTerm
from llm4rec_recbole.data.held_out import HeldOut, Outcomes

EVAL_CHUNK = 64  # histories scored at once: enough for one core, and the states stay in its cache


class Ranking:
    """Mixin for EnhancedGenRec: `score` and the three forms in which others call it."""

    def score(
        self: Any,
        users: Tensor,
        items: Tensor,
        entries: Tensor | None = None,
        table: Tensor | None = None,
    ) -> Tensor:
        """Scores of all items, (B, n_items).

        users: (B,); items: (B, L), the users' last items, padded on the right; entries: (B, L, K),
        None for none; table: the item table, None to compute it.
        """
        table = self.item_table() if table is None else table
        states = self(users, items, table, entries, last_only=True)  # (B, d)
        return self.scores(states, items, table)

    def full_sort_predict(self: Any, interaction: Any) -> Tensor:
        """Scores of all items, (B, n_items), for RecBole's rows, which have no times: nothing is
        retrieved."""
        return self.score(interaction[self.user_field], interaction[self.ITEM_SEQ])

    def predict(self: Any, interaction: Any) -> Tensor:
        """Scores (B,) of one item for each row."""
        scores = self.full_sort_predict(interaction)
        return scores.gather(1, interaction[self.ITEM_ID][:, None])[:, 0]

    @torch.no_grad()
    def score_histories(self: Any, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) for rows of `held_out`, right after each row's last item."""
        table = self.item_table()
        scores = np.empty((len(rows), self.n_items), dtype=np.float32)
        order = np.argsort(held_out.lengths(rows), kind="stable")
        for start in range(0, len(rows), EVAL_CHUNK):  # histories of similar length: few pads
            chunk = order[start : start + EVAL_CHUNK]
            users, items, entries = self.inputs_of(held_out, rows[chunk])
            scores[chunk] = self.score(users, items, entries, table).cpu().numpy()
        return scores

    def inputs_of(self: Any, held_out: HeldOut, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Users (B,), last items (B, L) and retrieved entries (B, L, K) of rows of `held_out`."""
        items, lengths = held_out.last(rows, self.length)
        device = self.item_bias.device
        return (
            torch.from_numpy(held_out.users[rows]).to(device),
            torch.from_numpy(items[:, : lengths.max()]).to(device),
            self.retrieved.now(held_out, rows).to(device),
        )


class OnlineLearning:
    """Mixin for EnhancedGenRec: what the online adapter and the explanations call."""

    #: What the model has learned between its rankings; None before, and without adaptation.
    adaptation_summary: AdaptationSummary | None = None

    def prequential_rows(
        self: Any, valid: HeldOut, outcomes: Outcomes, query_times: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Yield the test rows to rank; with the component adaptation, learn in between
        (prequential.py). Without it, all rows are one group."""
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
        """Let the item relations learn from all validation items, as they do during the test. The
        file of adapted weights does not hold them."""
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
        """The loss of each event under the scores of the ranking: −log P(item | history), and
        `dislike_loss` for a disliked item. An item that the user has had before is scored as if it
        were new."""
        device = self.item_bias.device
        histories = [event.history[-self.length :] for event in events]
        items = np.zeros((len(events), max(map(len, histories))), dtype=np.int64)
        seen = torch.zeros(len(events), self.n_items, dtype=torch.bool)
        for row, (event, history) in enumerate(zip(events, histories)):
            items[row, : len(history)] = history
            seen[row, torch.from_numpy(event.history)] = True
            seen[row, event.item] = False
        users = torch.tensor([event.user for event in events], device=device)
        times, entries = [event.query_time for event in events], None
        if None not in times:  # retrieval needs a time
            whole = [event.history for event in events]
            entries = self.retrieved.at(whole, np.array(times), users.cpu().numpy()).to(device)
        scores = self.score(users, torch.from_numpy(items).to(device), entries)
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

    @torch.no_grad()
    def aspect_distribution(self: Any, held_out: HeldOut, rows: np.ndarray) -> np.ndarray | None:
        """p_u of Eq. (19) for rows of `held_out`, (B, A); None without aspects."""
        self.eval()
        users, items, entries = self.inputs_of(held_out, rows)
        states = self(users, items, self.item_table(), entries, last_only=True)
        distribution = self.aspects(states)[0]
        return None if distribution is None else distribution.cpu().numpy()
