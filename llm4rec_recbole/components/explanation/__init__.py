"""Explanations, Eqs. (19)-(25)."""
