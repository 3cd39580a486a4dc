"""Retrieval-augmented generation, Eqs. (7)-(12)."""
