"""Statistics over run records and users files: knows files, never a model."""
