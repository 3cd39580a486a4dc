"""Batches, losses, the trainer, and run.py, the main path."""
