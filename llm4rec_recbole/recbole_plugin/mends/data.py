"""Mends of RecBole's data."""
