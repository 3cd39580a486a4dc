"""From a language model to items: a trie of item tokens, beams over it, scores of all items.

trie.py           the catalogue's token sequences as flat arrays
tree_decoder.py   the interface of a language model; decoder-only models, and T5
exhaustive.py     log-probabilities of a node's children; the score of every item
beam.py           top-K items with seen items excluded; beams over all tokens, for comparison;
                  scores of the whole catalogue by one of the three
"""
