"""Tables and figures, generated only from run records and users files."""
