"""Studies of single questions: each is a command that writes its result."""
