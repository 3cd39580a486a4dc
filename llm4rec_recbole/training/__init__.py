"""Windows over whole histories, crash-safe checkpoints, and one run from options to record."""
