"""Real-time adaptation, Eqs. (26)-(33)."""
