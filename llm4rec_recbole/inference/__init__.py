"""Use a trained run: restore it, recommend, explain, adapt."""
