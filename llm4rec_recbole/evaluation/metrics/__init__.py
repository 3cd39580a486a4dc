"""Per-user ranking metrics, one a file."""
