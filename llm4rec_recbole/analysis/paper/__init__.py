"""The paper's claims and printed numbers."""
