"""From raw files to exact-order splits."""
