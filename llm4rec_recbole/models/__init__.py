"""RecBole models: baselines, EnhancedGenRec, GenRec, P5."""
