"""Mends of RecBole's evaluation."""
