"""The five components of the paper, one folder each, and what they share."""
