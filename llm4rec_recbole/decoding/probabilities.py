"""Log-probabilities of a trie node's children, exact in one of two senses.

over="vocabulary"   log softmax over all tokens: what the language model says. Some probability
                    goes to token sequences that are no item.
over="catalogue"    log softmax over the node's children: the probabilities of all items sum to
                    1, and a token without alternative has probability 1.
"""

from __future__ import annotations

import torch

OVER = ("vocabulary", "catalogue")


_FEW = 16  # children of a node up to which its own logits alone are made, where users share nodes
_CACHED = 2**18  # logits at once, so that they stay in a processor's cache
_ROWS = 128  # states at once at least: below, reading `output` costs more than the cache saves


def child_log_probabilities(
    states: torch.Tensor,
    output: torch.Tensor,
    tokens: torch.Tensor,
    exists: torch.Tensor,
    over: str,
) -> torch.Tensor:
    """log P(child | its node), -inf where there is no child.

    states: (B, N, d) after N nodes; output: (V, d), output embeddings; tokens: (B, N, C), the
    children's, or (1, N, C) where users share nodes; exists: which of them there are, of the same
    shape; over: see above, "catalogue" costs less. Returns (B, N, C) float32.
    """
    if over == "catalogue":  # no other token's logit counts, and a vocabulary is large
        wanted, tokens = tokens.clamp(min=0).unique(return_inverse=True)
        output = output[wanted]
    tokens = tokens.expand(len(states), -1, -1)
    n_users = len(states)
    if states.device.type == "cpu":
        n_users = max(1, max(_ROWS, _CACHED // len(output)) // states.shape[1])
    found = []
    for some, of_them in zip(states.split(n_users), tokens.split(n_users)):
        logits = (some @ output.T).float()  # (…, N, V)
        chosen = logits.gather(2, of_them.clamp(min=0))  # (…, N, C)
        if over == "vocabulary":  # log-sum-exp in place
            most = logits.amax(2, keepdim=True)
            chosen = chosen - most - logits.sub_(most).exp_().sum(2, keepdim=True).log_()
        found.append(chosen)
    steps = torch.cat(found).masked_fill(~exists, -torch.inf)
    if over == "catalogue":
        steps = (steps - steps.logsumexp(2, keepdim=True)).masked_fill(~exists, -torch.inf)
    return steps


def shared_child_log_probabilities(
    states: torch.Tensor,
    output: torch.Tensor,
    tokens: torch.Tensor,
    exists: torch.Tensor,
    over: str,
) -> torch.Tensor:
    """The same where all users are at the same nodes, from states (B, N, d).

    output: (V, d), output embeddings; tokens, exists: (N, C). Returns (B, N, C) float32. Over the
    catalogue and with few children only the children's logits are made.
    """
    if over == "vocabulary" or tokens.shape[1] > _FEW:
        return child_log_probabilities(states, output, tokens[None], exists[None], over)
    embedded = output[tokens.clamp(min=0)]  # (N, C, d)
    logits = torch.bmm(states.transpose(0, 1), embedded.transpose(1, 2)).transpose(0, 1).float()
    return logits.masked_fill(~exists, -torch.inf).log_softmax(2).masked_fill(~exists, -torch.inf)
