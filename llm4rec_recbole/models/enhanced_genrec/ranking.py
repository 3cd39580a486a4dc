"""How RecBole and the evaluation get scores from EnhancedGenRec: users and histories in."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from llm4rec_recbole.data.held_out import HeldOut

EVAL_CHUNK = 64  # histories scored at once: enough for one core, and the states stay in its cache


class Ranking:
    """Mixin for EnhancedGenRec: `score` and the three forms in which others call it."""

    def score(
        self: Any,
        users: torch.Tensor,
        items: torch.Tensor,
        entries: torch.Tensor | None = None,
        table: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Scores of all items, (B, n_items).

        users: (B,); items: (B, L), the users' last items, padded on the right; entries: (B, L, K)
        of the repository, None for none; table: the item table, computed here where it is None.
        """
        table = self.item_table() if table is None else table
        states = self(users, items, table, entries, last_only=True)  # (B, d)
        return self.scores(states, items, table)

    def full_sort_predict(self: Any, interaction: Any) -> torch.Tensor:
        """Scores of all items, (B, n_items), for RecBole's rows of a user and the last items.

        RecBole's rows have no times, so nothing is retrieved.
        """
        return self.score(interaction[self.user_field], interaction[self.ITEM_SEQ])

    def predict(self: Any, interaction: Any) -> torch.Tensor:
        """Scores (B,) of one item for each row."""
        scores = self.full_sort_predict(interaction)
        return scores.gather(1, interaction[self.ITEM_ID][:, None])[:, 0]

    @torch.no_grad()
    def score_histories(self: Any, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Scores (B, n_items) for rows of `held_out`, right after each row's last item."""
        table = self.item_table()
        scores = np.empty((len(rows), self.n_items), dtype=np.float32)
        order = np.argsort(held_out.indptr[rows + 1] - held_out.indptr[rows], kind="stable")
        for start in range(0, len(rows), EVAL_CHUNK):  # histories of similar length: few pads
            chunk = order[start : start + EVAL_CHUNK]
            users, items, entries = self.inputs_of(held_out, rows[chunk])
            scores[chunk] = self.score(users, items, entries, table).cpu().numpy()
        return scores

    def inputs_of(
        self: Any, held_out: HeldOut, rows: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Users (B,), last items (B, L) and retrieved entries (B, L, K) of rows of `held_out`."""
        items, lengths = held_out.last(rows, self.length)
        device = self.item_bias.device
        return (
            torch.from_numpy(held_out.users[rows]).to(device),
            torch.from_numpy(items[:, : lengths.max()]).to(device),
            self.retrieved.now(held_out, rows).to(device),
        )
