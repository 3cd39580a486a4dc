"""Ranking, metrics, the held-out loader, run records and users files."""
