"""Scores of the whole catalogue, by the option `decoding`.

exhaustive      the log-probability of every item
beam            log-probabilities of the items in constrained beams; all others tie below them
unconstrained   beams over all tokens and a match of strings, as in the original papers
"""

from __future__ import annotations

import torch

from llm4rec_recbole.decoding.beam import Beams, beam_search, unconstrained_search
from llm4rec_recbole.decoding.exhaustive import exhaustive_scores
from llm4rec_recbole.decoding.tree_decoder import TreeDecoder
from llm4rec_recbole.decoding.trie import ItemTrie

NOT_FOUND = -1e9  # below any log-probability, and finite


def catalogue_scores(
    decoder: TreeDecoder,
    prompts: torch.Tensor,
    mask: torch.Tensor,
    trie: ItemTrie,
    seen: torch.Tensor,
    decoding: str = "exhaustive",
    width: int = 20,
    over: str = "vocabulary",
    end: int | None = None,
) -> torch.Tensor:
    """Return scores (B, n) float32 of all items after each prompt (B, T); mask: False for padding.

    seen: (B, n) bool; `exhaustive` ignores it, since the ranking excludes seen items; width: number
    of beams; over: see exhaustive.py; end: the trie's end token.
    """
    if decoding == "exhaustive":
        return exhaustive_scores(decoder, prompts, mask, trie, over)
    if decoding == "beam":
        return _catalogue_row(
            beam_search(decoder, prompts, mask, trie, width, seen, over), trie.n_items
        )
    beams = unconstrained_search(decoder, prompts, mask, trie, width, end, seen)
    return _catalogue_row(beams, trie.n_items)


def _catalogue_row(beams: Beams, n_items: int) -> torch.Tensor:
    """Return (B, n) scores: those of the beams' items, NOT_FOUND for all others."""
    scores = torch.full((len(beams.items), n_items + 1), NOT_FOUND, device=beams.items.device)
    scores.scatter_(1, beams.items.where(beams.items >= 0, n_items), beams.scores)
    return scores[:, :n_items].clamp(min=NOT_FOUND)
