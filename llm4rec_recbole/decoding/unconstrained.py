"""Decoding as the original evaluations do it: free text, then a string match with the catalogue.

Beams run over all tokens. A hypothesis that spells an item when it ends counts; one that spells
something else, or an item that the user has seen, has cost a beam and counts for nothing. That is
what `beam_search` saves.
"""

from __future__ import annotations

import torch

from llm4rec_recbole.decoding.beam import Beams
from llm4rec_recbole.decoding.tree_decoder import TreeDecoder
from llm4rec_recbole.decoding.trie import ItemTrie


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
