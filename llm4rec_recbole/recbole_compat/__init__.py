"""Patches for defects of RecBole 1.2.1, grouped by their effect.

This folder imports nothing of ours but errors and files.
"""
