"""Log-probabilities of a trie node's children, exact in one of two senses.

over="vocabulary"   log softmax over all tokens, as the language model defines it. Some
                    probability belongs to token sequences that are no item.
over="catalogue"    log softmax over the node's children: the probabilities of all items sum to
                    1, and a token without alternative has probability 1.

`exhaustive_scores` computes the log-probability of every item. It reads each shared prefix once and
many prefixes at a time. Only inner nodes need a state, so leaves cost nothing. The inner nodes are
cut into chunks in depth-first order. A chunk also has the ancestors of its first node, and thereby
every ancestor of its nodes. It passes through the model as one tree, whatever its depth.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from llm4rec_recbole.decoding.tree_decoder import TreeDecoder
from llm4rec_recbole.decoding.trie import ItemTrie

_MAX_OWN_LOGITS = 16  # nodes with at most so many children get only their children's logits
_MANY_CHILDREN = 16  # nodes with more children are a group of their own, to reduce padding
_CACHED_LOGITS = 2**18  # logits computed at once, so that they stay in a processor's cache
_MIN_STATES = 128  # with fewer states at once, reading `output` costs more than the cache saves


def child_log_probabilities(
    states: Tensor, output: Tensor, tokens: Tensor, exists: Tensor, over: str
) -> Tensor:
    """log P(child | node), (B, N, C) float32, -inf where there is no child.

    states: (B, N, d) after N nodes; output: (V, d), output embeddings; tokens: (B, N, C), of the
    children, or (1, N, C) if all users are at the same nodes; exists: bool of the same shape.
    """
    if over == "catalogue":  # only the children's logits count, and a vocabulary is large
        distinct, tokens = tokens.clamp(min=0).unique(return_inverse=True)
        output = output[distinct]
    tokens = tokens.expand(len(states), -1, -1)
    n_users = len(states)
    if states.device.type == "cpu":
        n_users = max(1, max(_MIN_STATES, _CACHED_LOGITS // len(output)) // states.shape[1])
    parts = []
    for batch, children in zip(states.split(n_users), tokens.split(n_users)):
        logits = (batch @ output.T).float()  # (…, N, V)
        chosen = logits.gather(2, children.clamp(min=0))  # (…, N, C)
        if over == "vocabulary":  # log-sum-exp in place
            largest = logits.amax(2, keepdim=True)
            chosen = chosen - largest - logits.sub_(largest).exp_().sum(2, keepdim=True).log_()
        parts.append(chosen)
    steps = torch.cat(parts).masked_fill(~exists, -torch.inf)
    if over == "catalogue":
        steps = (steps - steps.logsumexp(2, keepdim=True)).masked_fill(~exists, -torch.inf)
    return steps


def shared_child_log_probabilities(
    states: Tensor, output: Tensor, tokens: Tensor, exists: Tensor, over: str
) -> Tensor:
    """The same, (B, N, C) float32, for users at the same nodes: tokens, exists (N, C). Over the
    catalogue and with few children, only the children's logits are computed."""
    if over == "vocabulary" or tokens.shape[1] > _MAX_OWN_LOGITS:
        return child_log_probabilities(states, output, tokens[None], exists[None], over)
    embedded = output[tokens.clamp(min=0)]  # (N, C, d)
    logits = torch.bmm(states.transpose(0, 1), embedded.transpose(1, 2)).transpose(0, 1).float()
    return logits.masked_fill(~exists, -torch.inf).log_softmax(2).masked_fill(~exists, -torch.inf)


def chunks(trie: ItemTrie, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the inner nodes except the root, `size` at a time, together with their ancestors: (N,),
    and (N, N) bool, True from a node to its ancestors and itself."""
    inner = torch.nonzero(trie.n_children > 0)[1:, 0]
    inner = inner[(trie.first_leaf[inner] * (trie.max_depth + 1) + trie.depth[inner]).argsort()]
    for start in range(0, len(inner), size):
        nodes = inner[start : start + size]
        ancestors, node = [], trie.parent[nodes[0]]
        while node > 0:
            ancestors.append(node)
            node = trie.parent[node]
        nodes = torch.cat([torch.stack(ancestors[::-1]), nodes]) if ancestors else nodes
        yield nodes, trie.lines(nodes)


@torch.no_grad()
def exhaustive_scores(
    decoder: TreeDecoder,
    prompts: Tensor,
    mask: Tensor,
    trie: ItemTrie,
    over: str = "vocabulary",
    chunk_size: int = 256,
) -> Tensor:
    """The log-probability of each item after each prompt (B, T): (B, n) float32. mask: (B, T) bool,
    False for padding; over: see above; chunk_size: nodes that pass through the model together."""
    memory, first = decoder.read(prompts, mask)
    steps = torch.zeros(len(prompts), len(trie), device=prompts.device)  # log P(node | parent)
    root = torch.zeros(1, dtype=torch.long, device=prompts.device)
    _fill(steps, trie, root, first[:, None], decoder.output, over)
    for nodes, sees in chunks(trie, chunk_size):
        tokens = trie.token[nodes].expand(len(prompts), -1)
        depth = trie.depth[nodes]
        states = decoder.grow(memory, tokens, depth, sees[None], store=False)  # (B, N, d)
        many = trie.n_children[nodes] > _MANY_CHILDREN
        for group in (many, ~many):
            if group.any():
                _fill(steps, trie, nodes[group], states[:, group], decoder.output, over)
    scores = steps[:, trie.leaf]
    node = trie.parent[trie.leaf]
    while (node > 0).any():
        scores = scores + steps[:, node]  # the root's step is 0
        node = trie.parent[node]
    return scores


def _fill(
    steps: Tensor, trie: ItemTrie, nodes: Tensor, states: Tensor, output: Tensor, over: str
) -> None:
    """Enter the children of `nodes` (N,) into `steps` (B, nodes of the trie)."""
    child, exists = trie.children(nodes)  # (N, C)
    children = shared_child_log_probabilities(states, output, trie.token[child], exists, over)
    steps[:, child[exists]] = children[:, exists]
