"""Mends of RecBole's model."""
