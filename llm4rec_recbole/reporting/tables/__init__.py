"""Tables I-V, the data-set table and the claims table."""
