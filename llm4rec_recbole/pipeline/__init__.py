"""DVC stages: one run each, their state, and the status of all."""
