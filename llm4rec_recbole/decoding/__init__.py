"""From a language model to items: a trie of the items' tokens, beams over it, all items' scores.

trie.py           the catalogue's token sequences as flat arrays
tree_decoder.py   what a language model must offer: read prompts once, then grow trees of tokens
causal.py, t5.py  the two kinds of model that offer it
probabilities.py  log-probabilities of a node's children
beam.py           top-K items, seen ones excluded inside the search
exhaustive.py     every item's score, each shared prefix once
unconstrained.py  beams over all tokens, matched with the catalogue afterwards
"""
