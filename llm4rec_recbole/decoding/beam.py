"""Beam search over the trie: the K most probable items of each user, in one pass per token.

Every beam spells an item. A node below which the user has seen every item is dead, so that no beam
is spent on it; this is not filtering afterwards, which would leave fewer than K.

Which hypotheses are kept is as in transformers' `generate`: K that run and K that ended, an ended
one being taken if it is among the K best continuations of its step. Tested to give the same items
and log-probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from llm4rec_recbole.decoding.exhaustive import child_log_probabilities
from llm4rec_recbole.decoding.tree_decoder import TreeDecoder
from llm4rec_recbole.decoding.trie import ItemTrie


@dataclass(frozen=True)
class Beams:
    """The items found, best first."""

    items: torch.Tensor  # (B, K) int64, -1 where a user has fewer than K items left
    scores: torch.Tensor  # (B, K) float32 log-probabilities, -inf there


@torch.no_grad()
def beam_search(
    decoder: TreeDecoder,
    prompts: torch.Tensor,
    mask: torch.Tensor,
    trie: ItemTrie,
    width: int,
    seen: torch.Tensor | None = None,
    over: str = "vocabulary",
) -> Beams:
    """The `width` best items found for each prompt (B, T), real where mask (B, T) is True.

    seen: (B, n) bool, items that may not be found; over: see probabilities.py.
    """
    memory, states = decoder.read(prompts, mask)
    n_users, device = len(prompts), prompts.device
    alive = None if seen is None else trie.alive(seen)
    nodes = torch.zeros(n_users, 1, dtype=torch.long, device=device)  # (B, W), W running beams
    scores = torch.zeros(n_users, 1, device=device)
    found = Beams(
        torch.full((n_users, width), -1, device=device),
        torch.full((n_users, width), -torch.inf, device=device),
    )
    first = _first_levels(trie, 2 * width)  # (F,), nodes 1 … F
    sees = torch.empty(n_users, 1, 0, dtype=torch.bool, device=device)  # (B, W, M)
    if len(first):
        ahead_sees, tokens = trie.lines(first), trie.token[first].expand(n_users, -1)
        ahead = decoder.grow(memory, tokens, trie.depth[first], ahead_sees[None], keep=True)
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
            found = _with_ended(found, total, item)
            total = total.masked_fill(item >= 0, -torch.inf)
        scores, at = total.topk(min(width, total.shape[1]))
        still = (scores > found.scores[:, -1:]).any(0)  # a beam only loses as it goes on
        if not still.any():
            break
        n_beams = int(still.nonzero().max()) + 1
        scores, at = scores[:, :n_beams], at[:, :n_beams]  # (B, W)
        nodes = torch.where(scores > -torch.inf, child.gather(1, at), trie.leaf[0])  # no more below
        if len(first) and depth <= trie.depth[first[-1]]:
            at = (nodes - 1).clamp(max=len(first) - 1)  # a beam that is no more may lie beyond
            states = ahead.gather(1, at[..., None].expand(-1, -1, ahead.shape[2]))
            sees = ahead_sees[at]
            continue
        before = sees.gather(1, (at // beam_size)[..., None].expand(-1, -1, sees.shape[2]))
        itself = torch.eye(n_beams, dtype=torch.bool, device=device).expand(n_users, -1, -1)
        sees = torch.cat([before, itself], 2)
        depths = torch.full((n_beams,), depth, device=device)
        states = decoder.grow(memory, trie.token[nodes], depths, sees, keep=True)
    return found


def _first_levels(trie: ItemTrie, most: int) -> torch.Tensor:
    """The nodes of the trie's first levels below the root, of as many as have `most` together.

    Nearly all of them become beams, and grow at once faster than level by level.
    """
    levels = torch.arange(1, trie.max_depth + 1, device=trie.depth.device)
    last = torch.searchsorted(trie.depth, levels, right=True) - 1  # the last node of each
    return torch.arange(1, 1 + int(last.where(last <= most, 0).max()), device=levels.device)


def _with_ended(found: Beams, total: torch.Tensor, item: torch.Tensor) -> Beams:
    """The best of those found so far and of the items (B, W * C) that end here."""
    width = found.items.shape[1]
    best, at = total.topk(min(width, total.shape[1]))
    item = item.gather(1, at)
    item = torch.where(best > -torch.inf, item, -1)
    best = best.masked_fill(item < 0, -torch.inf)
    scores, at = torch.cat([found.scores, best], 1).topk(width)
    return Beams(torch.cat([found.items, item], 1).gather(1, at), scores)


# Decoding as the original evaluations do it: free text, then a string match with the catalogue.
#
# Beams run over all tokens. A hypothesis that spells an item when it ends counts; one that spells
# something else, or an item that the user has seen, has cost a beam and counts for nothing. That is
# what `beam_search` saves.


@torch.no_grad()
def unconstrained_search(
    decoder: TreeDecoder,
    prompts: torch.Tensor,
    mask: torch.Tensor,
    trie: ItemTrie,
    width: int,
    end: int | None = None,
    seen: torch.Tensor | None = None,
) -> Beams:
    """The `width` best token sequences for each prompt (B, T), with the items that they spell.

    A sequence ends with `end`, where the trie was built with it, or else as soon as it spells an
    item. `items` is -1 where a sequence is no item, or one that is `seen` (B, n) bool.
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
        before = sees.gather(1, (at // n_tokens)[..., None].expand(-1, -1, sees.shape[2]))
        itself = torch.eye(at.shape[1], dtype=torch.bool, device=device).expand(n_users, -1, -1)
        sees = torch.cat([before, itself], 2)
        depths = torch.full(at.shape[1:], depth, device=device)
        states = decoder.grow(memory, at % n_tokens, depths, sees, keep=True)
    if seen is not None:
        was_seen = seen.gather(1, ended_items.clamp(min=0))
        ended_items = ended_items.masked_fill(was_seen, -1)
    return Beams(ended_items, ended_scores)


def _next_nodes(trie: ItemTrie, nodes: torch.Tensor, n_tokens: int) -> torch.Tensor:
    """The node that each token leads to from `nodes` (B, W), -1 for none: (B, W, V)."""
    on_trie = nodes >= 0
    child, exists = trie.children(nodes.clamp(min=0))  # (B, W, C)
    found = torch.full((*nodes.shape, n_tokens + 1), -1, device=nodes.device)
    exists &= on_trie[..., None]
    tokens = torch.where(exists, trie.token[child], n_tokens)  # what is no child goes to the last
    return found.scatter(2, tokens, child)[..., :n_tokens]
