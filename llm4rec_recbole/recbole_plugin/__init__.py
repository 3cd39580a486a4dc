"""The only code that touches RecBole's insides: what it lacks and what is broken in it."""
