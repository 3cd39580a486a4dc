"""Log-probabilities of a trie node's children, exact in one of two senses.

over="vocabulary"   log softmax over all tokens: what the language model says. Some probability
                    goes to token sequences that are no item.
over="catalogue"    log softmax over the node's children: the probabilities of all items sum to
                    1, and a token without alternative has probability 1.
"""

from __future__ import annotations

import torch

OVER = ("vocabulary", "catalogue")


def child_log_probabilities(
    logits: torch.Tensor, tokens: torch.Tensor, exists: torch.Tensor, over: str
) -> torch.Tensor:
    """log P(child | its node), -inf where there is no child.

    logits: (B, N, V) after N nodes; tokens: (N, C) or (B, N, C), the children's; exists: which of
    them there are, of the same shape; over: see above. Returns (B, N, C) float32.
    """
    logits = logits.float()
    tokens = tokens.clamp(min=0).expand(len(logits), -1, -1)
    chosen = logits.gather(2, tokens).masked_fill(~exists, -torch.inf)  # (B, N, C)
    among = logits if over == "vocabulary" else chosen
    return (chosen - among.logsumexp(2, keepdim=True)).masked_fill(~exists, -torch.inf)
