"""The five components of the paper, one folder each, what they share, and a SASRec beside them."""
