"""EnhancedGenRec, the paper's model."""
