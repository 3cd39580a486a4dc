"""Explanations, Eqs. (19)–(25): evidence for an item, and a sentence that names nothing else."""
