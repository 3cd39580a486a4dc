"""P5: T5 that generates item ids from prompts (RecSys 2022)."""
