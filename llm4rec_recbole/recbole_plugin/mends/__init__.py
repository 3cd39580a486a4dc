"""One small function for each defect of RecBole 1.2.1, grouped by the part of RecBole it mends."""
