"""One scoring pass, every ranking: knows scores and held-out items, never a model."""
