"""What DVC lacks: cells that run once and fail alone, and k of N with an ETA."""
