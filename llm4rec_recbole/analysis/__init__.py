"""Statistics over run records and users files."""
