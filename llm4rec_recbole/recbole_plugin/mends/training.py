"""Mends of RecBole's training."""
