"""What a run reads: atomic files, interactions, splits, held-out users, features."""
