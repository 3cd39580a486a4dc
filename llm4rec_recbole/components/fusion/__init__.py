"""Multimodal fusion, Eqs. (1)-(6)."""
