"""What P5 and GenRec share: they rank items by the log-probability of writing them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor

from llm4rec_recbole.data.held_out import HeldOut
from llm4rec_recbole.decoding.beam import catalogue_scores
from llm4rec_recbole.decoding.tree_decoder import TreeDecoder, padded
from llm4rec_recbole.decoding.trie import ItemTrie

Tokens = list[int]


class GenerativeRecommender(SequentialRecommender):
    """A subclass sets `decoder` and `trie`, and writes `prompts_of`. It also names
    SequentialRecommender among its bases: option_readers.py looks for the type there."""

    schedule = "warmup_cosine"  # training/trainer.py
    input_type = InputType.POINTWISE  # no negatives
    eval_users: int  # users per pass in evaluation; bounds the memory for states
    sorts_prompts = False  # whether prompts of similar length share a pass, for less padding
    over = "vocabulary"  # decoding/exhaustive.py
    end: int | None = None  # the trie's end token

    decoder: TreeDecoder
    trie: ItemTrie

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.decoding: str = config["decoding"]
        self.beam_width = config["beam_width"]

    def prompts_of(self, users: np.ndarray, items: np.ndarray) -> list[Tokens]:
        """The prompts of users (B,) with the histories `items` (B, L), padded on the right."""
        raise NotImplementedError

    def score_histories(self, held_out: HeldOut, rows: np.ndarray) -> np.ndarray:
        """Log-probabilities (B, n_items) float32 of writing each item next."""
        items, _ = held_out.last(rows, self.max_seq_length)
        return self._scores(held_out.users[rows], items, held_out.seen_mask(rows)).numpy()

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Scores (B, n_items) for RecBole's evaluation; seen are the prompt's items."""
        items = interaction[self.ITEM_SEQ].cpu()
        seen = torch.zeros(len(items), self.n_items, dtype=torch.bool).scatter_(1, items, True)
        scores = self._scores(interaction[self.USER_ID].cpu().numpy(), items.numpy(), seen.numpy())
        return scores.to(interaction[self.ITEM_SEQ].device)

    def predict(self, interaction: Any) -> Tensor:
        """Scores (B,) of the rows' items."""
        scores = self.full_sort_predict(interaction)
        return scores.gather(1, interaction[self.ITEM_ID][:, None])[:, 0]

    def _scores(self, users: np.ndarray, items: np.ndarray, seen: np.ndarray) -> Tensor:
        """Scores (B, n_items)."""
        device = self.decoder.output.device
        trie = self.trie.to(device)
        prompts = self.prompts_of(users, items)
        order = np.arange(len(prompts))
        if self.sorts_prompts:
            order = np.argsort([len(prompt) for prompt in prompts], kind="stable")
        scores = torch.zeros(len(items), self.n_items)
        for start in range(0, len(items), self.eval_users):
            batch = order[start : start + self.eval_users]
            scores[batch, 1:] = catalogue_scores(
                self.decoder,
                *padded([prompts[row] for row in batch], device),
                trie,
                torch.from_numpy(seen[batch, 1:]).to(device),
                self.decoding,
                self.beam_width,
                self.over,
                self.end,
            ).cpu()
        return scores
