"""Hypothesis without deadlines: how long an example takes tells of the machine's other work."""

from hypothesis import settings

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
