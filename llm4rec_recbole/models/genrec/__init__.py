"""GenRec: a causal language model that generates item titles (arXiv 2307.00457)."""
