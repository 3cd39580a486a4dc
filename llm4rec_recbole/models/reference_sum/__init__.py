"""A sum of reference models, the strongest simple method to compare a large model with."""
