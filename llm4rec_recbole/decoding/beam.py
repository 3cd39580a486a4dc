"""Beam search over the trie: the K most probable items of each user, in one pass per token.

Every beam leads to an item. A node below which the user has seen every item gets no beam. Filtering
afterwards would leave fewer than K items.

Hypotheses are chosen as in transformers' `generate`: K running and K ended ones. A
hypothesis ends if it is among the K best continuations of its step. A test compares items and
log-probabilities.

`catalogue_scores` scores all items, by the option `decoding`:

    exhaustive      the log-probability of every item
    beam            log-probabilities of the items in constrained beams; all others tie below them
    unconstrained   beams over all tokens and a match of strings, as in the original papers
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from llm4rec_recbole.decoding.exhaustive import child_log_probabilities, exhaustive_scores
from llm4rec_recbole.decoding.tree_decoder import TreeDecoder
from llm4rec_recbole.decoding.trie import ItemTrie


@dataclass(frozen=True)
class Beams:
    """Items and their scores, best first."""

    items: Tensor  # (B, K) int64, -1 where a user has fewer than K items left
    scores: Tensor  # (B, K) float32 log-probabilities, -inf there


@torch.no_grad()
def beam_search(
    decoder: TreeDecoder,
    prompts: Tensor,
    mask: Tensor,
    trie: ItemTrie,
    width: int,
    seen: Tensor | None = None,
    over: str = "vocabulary",
) -> Beams:
    """The `width` best items for each prompt (B, T), real where mask (B, T) is True. seen: (B, n)
    bool, excluded items; over: see exhaustive.py."""
    memory, states = decoder.read(prompts, mask)
    n_users, device = len(prompts), prompts.device
    alive = None if seen is None else trie.alive(seen)
    nodes = torch.zeros(n_users, 1, dtype=torch.long, device=device)  # (B, W), W running beams
    scores = torch.zeros(n_users, 1, device=device)
    ended = Beams(
        torch.full((n_users, width), -1, device=device),
        torch.full((n_users, width), -torch.inf, device=device),
    )
    first = _first_levels(trie, 2 * width)  # (F,), nodes 1 … F
    sees = torch.empty(n_users, 1, 0, dtype=torch.bool, device=device)  # (B, W, M)
    if len(first):
        ahead_sees, tokens = trie.lines(first), trie.token[first].expand(n_users, -1)
        ahead = decoder.grow(memory, tokens, trie.depth[first], ahead_sees[None], store=True)
    states = states[:, None]  # (B, W, d)
    for depth in range(1, trie.max_depth + 1):
        child, exists = trie.children(nodes)  # (B, W, C)
        steps = child_log_probabilities(states, decoder.output, trie.token[child], exists, over)
        beam_size = child.shape[2]
        total, child = (scores[..., None] + steps).flatten(1), child.flatten(1)  # (B, W * C)
        if alive is not None:
            total = total.masked_fill(~alive.gather(1, child), -torch.inf)
        item = trie.item[child]
        if (item >= 0).any():
            ended = _with_ended(ended, total, item)
            total = total.masked_fill(item >= 0, -torch.inf)
        scores, at = total.topk(min(width, total.shape[1]))
        still = (scores > ended.scores[:, -1:]).any(0)  # a beam's score only decreases
        if not still.any():
            break
        n_beams = int(still.nonzero().max()) + 1
        scores, at = scores[:, :n_beams], at[:, :n_beams]  # (B, W)
        nodes = torch.where(
            scores > -torch.inf, child.gather(1, at), trie.leaf[0]
        )  # without children
        if len(first) and depth <= trie.depth[first[-1]]:
            at = (nodes - 1).clamp(max=len(first) - 1)  # a beam without a node may lie beyond
            states = ahead.gather(1, at[..., None].expand(-1, -1, ahead.shape[2]))
            sees = ahead_sees[at]
            continue
        sees = _with_new_tokens(sees, at // beam_size)
        depths = torch.full((n_beams,), depth, device=device)
        states = decoder.grow(memory, trie.token[nodes], depths, sees, store=True)
    return ended


def _first_levels(trie: ItemTrie, max_nodes: int) -> Tensor:
    """Return the nodes of as many levels below the root as have at most `max_nodes` together.
    Nearly all of them become beams. They pass through the model faster together than by level."""
    levels = torch.arange(1, trie.max_depth + 1, device=trie.depth.device)
    last = torch.searchsorted(trie.depth, levels, right=True) - 1  # the last node of each
    return torch.arange(1, 1 + int(last.where(last <= max_nodes, 0).max()), device=levels.device)


def _with_new_tokens(sees: Tensor, parents: Tensor) -> Tensor:
    """What one new token below each of `parents` (B, W) attends to: the parent's tokens (of `sees`,
    (B, W', M)) and itself, (B, W, M + W)."""
    before = sees.gather(1, parents[..., None].expand(-1, -1, sees.shape[2]))
    itself = torch.eye(parents.shape[1], dtype=torch.bool, device=sees.device)
    return torch.cat([before, itself.expand(len(parents), -1, -1)], 2)


def _with_ended(ended: Beams, total: Tensor, item: Tensor) -> Beams:
    """Return the best of the ended beams and of the items (B, W * C) that end in this step."""
    width = ended.items.shape[1]
    best, at = total.topk(min(width, total.shape[1]))
    item = item.gather(1, at)
    item = torch.where(best > -torch.inf, item, -1)
    best = best.masked_fill(item < 0, -torch.inf)
    scores, at = torch.cat([ended.scores, best], 1).topk(width)
    return Beams(torch.cat([ended.items, item], 1).gather(1, at), scores)


# Decoding as in the original evaluations: free text, then a string match with the catalogue.
#
# Beams run over all tokens. A hypothesis that ends as other text, or as a seen item, has used a
# beam and is discarded. `beam_search` avoids this.


@torch.no_grad()
def unconstrained_search(
    decoder: TreeDecoder,
    prompts: Tensor,
    mask: Tensor,
    trie: ItemTrie,
    width: int,
    end: int | None = None,
    seen: Tensor | None = None,
) -> Beams:
    """The `width` best token sequences for each prompt (B, T), with their items.

    A sequence ends with `end`, if the trie was built with it, otherwise as soon as it is an item.
    `items` is -1 where a sequence is no item, or one that is `seen` (B, n) bool.
    """
    memory, states = decoder.read(prompts, mask)
    n_users, n_tokens, device = len(prompts), len(decoder.output), prompts.device
    nodes = torch.zeros(n_users, 1, dtype=torch.long, device=device)  # (B, W), -1: off the trie
    scores = torch.zeros(n_users, 1, device=device)
    ended_items = torch.full((n_users, width), -1, device=device)
    ended_scores = torch.full((n_users, width), -torch.inf, device=device)
    sees = torch.empty(n_users, 1, 0, dtype=torch.bool, device=device)
    states = states[:, None]  # (B, W, d)
    for depth in range(1, trie.max_depth + 1):
        logits = (states @ decoder.output.T).float()  # (B, W, V)
        total = (scores[..., None] + logits.log_softmax(2)).flatten(1)  # (B, W * V)
        next_node = _next_nodes(trie, nodes, n_tokens).flatten(1)  # (B, W * V)
        item = torch.where(next_node >= 0, trie.item[next_node], -1)
        ends = item >= 0
        if end is not None:
            ends.unflatten(1, (-1, n_tokens))[..., end] = True
        best, at = total.topk(min(width, total.shape[1]))
        ended = ends.gather(1, at)
        best = best.masked_fill(~ended, -torch.inf)
        ended_scores, order = torch.cat([ended_scores, best], 1).topk(width)
        ended_items = torch.cat([ended_items, item.gather(1, at)], 1).gather(1, order)
        scores, at = total.masked_fill(ends, -torch.inf).topk(min(width, total.shape[1]))
        if depth == trie.max_depth or not (scores > ended_scores[:, -1:]).any():
            break
        nodes = next_node.gather(1, at)
        sees = _with_new_tokens(sees, at // n_tokens)
        depths = torch.full(at.shape[1:], depth, device=device)
        states = decoder.grow(memory, at % n_tokens, depths, sees, store=True)
    if seen is not None:
        was_seen = seen.gather(1, ended_items.clamp(min=0))
        ended_items = ended_items.masked_fill(was_seen, -1)
    return Beams(ended_items, ended_scores)


def _next_nodes(trie: ItemTrie, nodes: Tensor, n_tokens: int) -> Tensor:
    """Return the node that each token leads to from `nodes` (B, W), -1 for none: (B, W, V)."""
    on_trie = nodes >= 0
    child, exists = trie.children(nodes.clamp(min=0))  # (B, W, C)
    next_nodes = torch.full((*nodes.shape, n_tokens + 1), -1, device=nodes.device)
    exists &= on_trie[..., None]
    tokens = torch.where(
        exists, trie.token[child], n_tokens
    )  # absent children are written to the last
    return next_nodes.scatter(2, tokens, child)[..., :n_tokens]


NOT_FOUND = -1e9  # below any log-probability, and finite


def catalogue_scores(
    decoder: TreeDecoder,
    prompts: Tensor,
    mask: Tensor,
    trie: ItemTrie,
    seen: Tensor,
    decoding: str = "exhaustive",
    width: int = 20,
    over: str = "vocabulary",
    end: int | None = None,
) -> Tensor:
    """Scores (B, n) float32 of all items after each prompt (B, T); mask: False for padding.

    seen: (B, n) bool; `exhaustive` ignores it, since the ranking excludes seen items; width: of the
    beams; over: see exhaustive.py; end: the trie's end token.
    """
    if decoding == "exhaustive":
        return exhaustive_scores(decoder, prompts, mask, trie, over)
    if decoding == "beam":
        return _catalogue_row(
            beam_search(decoder, prompts, mask, trie, width, seen, over), trie.n_items
        )
    beams = unconstrained_search(decoder, prompts, mask, trie, width, end, seen)
    return _catalogue_row(beams, trie.n_items)


def _catalogue_row(beams: Beams, n_items: int) -> Tensor:
    """Return scores (B, n): the beams' scores for their items, NOT_FOUND for all others."""
    scores = torch.full((len(beams.items), n_items + 1), NOT_FOUND, device=beams.items.device)
    scores.scatter_(1, beams.items.where(beams.items >= 0, n_items), beams.scores)
    return scores[:, :n_items].clamp(min=NOT_FOUND)
